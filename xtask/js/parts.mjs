// Finds npm parts where `cargo xtask setup` puts them, since nothing above this folder has any.

import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(new URL("../../tests/package.json", import.meta.url));

/** The path of a file of a package, as in `partPath("miniflare")`. */
export const partPath = (name) => require.resolve(name);

/** Imports a package. */
export const importPart = (name) => import(pathToFileURL(partPath(name)).href);

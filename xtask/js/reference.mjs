// Writes docs/npm, the reference of the npm package, from the doc comments of what its `exports` give (`wasm/dist`:
// build the package first). Fails on anything public that is undocumented, and on links to nowhere.
//
//   node reference.mjs [--check]   `--check` writes nothing, and fails unless docs/npm is what would be written

import { rmSync } from "node:fs";
import { mkdtemp, readFile, readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { importPart, partPath } from "./parts.mjs";

const { Application, Converter, ReflectionKind } = await importPart("typedoc");
const path = (inside) => fileURLToPath(new URL(`../../${inside}`, import.meta.url));
const { values } = parseArgs({ options: { check: { type: "boolean", default: false } } });
const committed = path("docs/npm");

const { name, exports } = JSON.parse(await readFile(path("wasm/package.json"), "utf8"));
/** What can be imported as JavaScript: its types' file without `.d.ts` -> its name. */
const entries = new Map(
  Object.entries(exports)
    .filter(([, target]) => target.default?.endsWith(".js"))
    .map(([entry, target]) => [basename(target.types, ".d.ts"), join(name, entry)]),
);

const options = {
  plugin: [partPath("typedoc-plugin-markdown")],
  tsconfig: path("wasm/tsconfig.reference.json"),
  entryPoints: [...entries.keys()].map((file) => path(`wasm/dist/${file}.d.ts`)),
  alwaysCreateEntryPointModule: true,
  disableSources: true,
  excludePrivate: true,
  excludeExternals: true,
  readme: "none",
  logLevel: "Warn",
  sort: ["source-order"],
  kindSortOrder: ["Function", "Class", "Interface", "TypeAlias", "Variable"],
  requiredToBeDocumented: [
    "Module",
    "Function",
    "Class",
    "Interface",
    "TypeAlias",
    "Variable",
    "Constructor",
    "Property",
    "Method",
    "Accessor",
  ],
  validation: { notExported: true, invalidLink: true, invalidPath: true, rewrittenLink: true, notDocumented: true },
  outputFileStrategy: "modules",
  hidePageHeader: true,
  hideBreadcrumbs: true,
  expandParameters: true,
  parametersFormat: "table",
  interfacePropertiesFormat: "table",
  classPropertiesFormat: "table",
  typeAliasPropertiesFormat: "table",
};

/** Writes the reference into a folder, which is emptied before; says what is wrong with the comments, and exits. */
async function generate(folder) {
  const outputs = [{ name: "markdown", path: folder }];
  const app = await Application.bootstrapWithPlugins({ ...options, outputs });
  app.converter.on(Converter.EVENT_RESOLVE_BEGIN, ({ project }) => {
    project.name = name;
    for (const module of project.children ?? []) module.name = entries.get(module.name) ?? module.name;
    // What an entry has from another is described there; its own words say so.
    for (const again of project.getReflectionsByKind(ReflectionKind.Reference)) project.removeReflection(again);
  });
  const project = await app.convert();
  if (project !== undefined) {
    app.validate(project);
    await app.generateOutputs(project);
  }
  if (app.logger.hasErrors() || app.logger.hasWarnings()) process.exit(1);
}

/** The texts of a folder's files, by name. */
async function texts(folder) {
  const files = await readdir(folder, { recursive: true, withFileTypes: true });
  const pairs = files
    .filter((file) => file.isFile())
    .map(async (file) => {
      const full = join(file.parentPath, file.name);
      return [relative(folder, full), await readFile(full, "utf8")];
    });
  return new Map(await Promise.all(pairs));
}

if (values.check) {
  const folder = await mkdtemp(join(tmpdir(), "leeward-reference-"));
  process.once("exit", () => rmSync(folder, { recursive: true }));
  await generate(folder);
  const [is, ought] = [await texts(committed), await texts(folder)];
  const wrong = [...new Set([...is.keys(), ...ought.keys()])].filter((file) => is.get(file) !== ought.get(file));
  for (const file of wrong) console.error(`docs/npm/${file} is not current: cargo xtask docs`);
  if (wrong.length > 0) process.exit(1);
} else {
  await generate(committed);
}

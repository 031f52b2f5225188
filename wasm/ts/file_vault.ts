/** A vault in a folder: a file for each record. */

import { mkdir, open, readFile, rename, rm } from "node:fs/promises";

import { configInvalid } from "./errors.js";
import type { Vault } from "./types.js";

/**
 * The option `vault` as a folder, made when it is first needed. Each record is a file that only this user may read and
 * write (mode 0600; Windows has the folder's rights instead), replaced whole or not at all. Records hold tokens in clear:
 * give it a folder that is not synchronized, and not in a repository.
 *
 * One replica at a time: two that renew the same grant look to an authorization server like a thief and its victim, and
 * the grant may end.
 *
 * @param folder Its path.
 * @throws `LeewardError` `config_invalid`, if that is no path.
 */
export function fileVault(folder: string): Vault {
  if (typeof folder !== "string" || folder === "") throw configInvalid("folder", "folder must be a path");
  return {
    async get(key) {
      try {
        return await readFile(await file(folder, key));
      } catch (error) {
        if (codeOf(error) === "ENOENT") return undefined;
        throw isNoFolder(folder, error);
      }
    },
    async set(key, record) {
      const path = await file(folder, key);
      // Beside it, under a name of its own: whoever reads meanwhile, or after a crash, has the one before.
      const next = `${path}.${crypto.randomUUID()}`;
      try {
        await mkdir(folder, { recursive: true, mode: 0o700 });
        const handle = await open(next, "wx", 0o600);
        try {
          await handle.writeFile(record);
          await handle.sync();
        } finally {
          await handle.close();
        }
        await rename(next, path);
      } catch (error) {
        await rm(next, { force: true }).catch(() => {});
        throw isNoFolder(folder, error);
      }
    },
    async delete(key) {
      await rm(await file(folder, key), { force: true }).catch((error: unknown) => {
        throw isNoFolder(folder, error);
      });
    },
  };
}

/** A key's file. Its digest, since file systems differ in what a name may hold, and in whether case counts. */
async function file(folder: string, key: string): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(key)));
  return `${folder}/${Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

function codeOf(error: unknown): unknown {
  return (error as { code?: unknown } | undefined)?.code;
}

/** Says it plainly where a file stands in the way. */
function isNoFolder(folder: string, error: unknown): unknown {
  const code = codeOf(error);
  if (code !== "ENOTDIR" && code !== "EEXIST") return error;
  return new Error(`${folder} is not a folder`, { cause: error });
}

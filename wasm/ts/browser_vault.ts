/** A vault in a browser's IndexedDB. */

import { configInvalid } from "./errors.js";
import type { Vault } from "./types.js";

const STORE = "grants";

/**
 * The option `vault` in this origin's IndexedDB, for pages and workers. Every script of the origin can read it, so a script
 * that somebody injects (XSS) takes the tokens, refresh tokens too: keep the Content-Security-Policy strict, and go without
 * a vault where signing in again costs less than that would. The user's clearing of the site's data clears it.
 *
 * @param name The database's name. Default `leeward`.
 * @throws `LeewardError` `config_invalid`, if it is no string or there is no IndexedDB.
 */
export function browserVault(name = "leeward"): Vault {
  if (typeof name !== "string" || name === "") throw configInvalid("name", "name must be a string");
  if (typeof globalThis.indexedDB?.open !== "function") throw configInvalid("", "this runtime has no IndexedDB");
  let database: Promise<IDBDatabase> | undefined;

  /** Opened when it is first needed, and again after it failed or the browser closed it. */
  const opened = () => {
    if (database !== undefined) return database;
    const request = indexedDB.open(name, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE);
    const forget = () => {
      if (database === opening) database = undefined;
    };
    const opening = answered(request).then((found) => {
      found.onclose = forget;
      // Whoever deletes the database must not wait for this page.
      found.onversionchange = () => {
        found.close();
        forget();
      };
      return found;
    });
    opening.catch(forget);
    return (database = opening);
  };
  const change = async (action: (store: IDBObjectStore) => unknown) => {
    const transaction = (await opened()).transaction(STORE, "readwrite");
    const done = new Promise<void>((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error);
    });
    action(transaction.objectStore(STORE));
    await done;
  };
  return {
    async get(key) {
      const store = (await opened()).transaction(STORE).objectStore(STORE);
      return (await answered(store.get(key))) as Uint8Array | undefined;
    },
    set: (key, record) => change((store) => store.put(record, key)),
    delete: (key) => change((store) => store.delete(key)),
  };
}

function answered<Value>(request: IDBRequest<Value>): Promise<Value> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

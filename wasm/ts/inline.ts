/**
 * Entry with the module within its JavaScript, for where no file can be read or fetched.
 *
 * @packageDocumentation
 */

import { loadWith } from "./load.js";
import { BASE64 } from "./wasm_base64.js";

loadWith(() => {
  const text = atob(BASE64);
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at += 1) bytes[at] = text.charCodeAt(at);
  return bytes;
}, true);

export * from "./api.js";

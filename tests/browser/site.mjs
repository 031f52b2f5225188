// A static site on 127.0.0.1 for what runs in a browser.

import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname } from "node:path";

/** The npm package as it was built, as a folder of a site. */
export const PACKAGE = new URL("../../wasm/dist/", import.meta.url);

const MEDIA_TYPES = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json",
  ".map": "application/json",
  ".mjs": "text/javascript; charset=utf-8",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
};

/**
 * Serves `files`, which gives contents (a string or bytes) or the `file:` URL of what to serve by path:
 * `{ "/": "<!doctype html>…", "/app.js": new URL("app.js", import.meta.url), "/leeward/": PACKAGE }`. A path that
 * ends in a slash and has a URL is a folder. Anything else is not found. `/` is HTML. `headers` go with every answer.
 */
export async function serveSite(files, { port = 0, headers = {} } = {}) {
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, "http://site.test");
    // What there is none of fails to be found or read.
    const contents = await find(files, pathname).catch(() => undefined);
    const type = pathname.endsWith("/") ? ".html" : extname(pathname);
    response.writeHead(contents === undefined ? 404 : 200, {
      "cache-control": "no-store",
      ...headers,
      "content-type": MEDIA_TYPES[contents === undefined ? ".html" : type] ?? "application/octet-stream",
    });
    response.end(contents);
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${server.address().port}/`,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

async function find(files, pathname) {
  const exact = files[pathname];
  if (exact !== undefined) return exact instanceof URL ? readFile(exact) : exact;
  const folder = Object.keys(files).find((path) => path.endsWith("/") && path !== "/" && pathname.startsWith(path));
  const file = new URL(`./${pathname.slice(folder.length)}`, files[folder]);
  return file.href.startsWith(files[folder].href) ? readFile(file) : undefined;
}

// Serves a `(Request) => Promise<Response>` on a port of the system's choice: by Deno's and Bun's own servers, which
// take one, or by Node's behind as small an adapter as will do.

import { once } from "node:events";
import { createServer } from "node:http";
import { Readable } from "node:stream";

const hostname = "127.0.0.1";

/** Resolves to `{ origin, close }` once it listens. */
export async function listen(handler) {
  if (globalThis.Deno !== undefined) {
    const server = Deno.serve({ hostname, port: 0, onListen() {} }, handler);
    return { origin: `http://${hostname}:${server.addr.port}`, close: () => server.shutdown() };
  }
  if (globalThis.Bun !== undefined) {
    // Its own limit, of ten seconds without a byte, would end calls that the authority is slow to answer.
    const server = Bun.serve({ hostname, port: 0, idleTimeout: 120, fetch: handler });
    return { origin: `http://${hostname}:${server.port}`, close: () => server.stop(true) };
  }
  const server = createServer((incoming, outgoing) => adapt(handler, incoming, outgoing));
  server.listen(0, hostname);
  await once(server, "listening");
  const close = async () => {
    server.close();
    server.closeAllConnections();
    await once(server, "close");
  };
  return { origin: `http://${hostname}:${server.address().port}`, close };
}

async function adapt(handler, incoming, outgoing) {
  const left = new AbortController();
  outgoing.on("close", () => outgoing.writableFinished || left.abort());
  const { method, rawHeaders: raw } = incoming;
  const headers = raw.flatMap((name, at) => (at % 2 === 0 ? [[name, raw[at + 1]]] : []));
  const body = method === "GET" || method === "HEAD" ? undefined : Readable.toWeb(incoming);
  let request;
  try {
    request = new Request(`http://${hostname}${incoming.url}`, {
      method,
      headers,
      body,
      duplex: "half",
      signal: left.signal,
    });
  } catch {
    // A method that the standard forbids.
    return outgoing.writeHead(501).end();
  }
  const response = await handler(request);
  outgoing.writeHead(response.status, [...response.headers].flat());
  try {
    for await (const part of response.body ?? []) {
      if (!outgoing.write(part)) await once(outgoing, "drain");
    }
    outgoing.end();
  } catch {
    // The handler broke the stream off.
    outgoing.destroy();
  }
}

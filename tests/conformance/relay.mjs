// Relays TCP connections to an HTTP endpoint, optionally with one header line more, `Authorization: Bearer T`, in each
// request; and tells a recorder what passes.
//
// Everything else passes byte for byte, in both directions and at once: header order, case, blanks around values,
// Host and Origin, streamed bodies. An HTTP proxy would normalise just what the header scenarios look at.

import { once } from "node:events";
import { connect, createServer } from "node:net";
import { follow } from "./framing.mjs";

/**
 * Listens on 127.0.0.1; `url` is the way in, with the path of the target.
 *
 * @param {string} target http only.
 * @param {object} options
 * @param {string} [options.token]
 * @param {(request: { start: string, headers: object }) => Exchange} options.record makes, for each request, an
 *   exchange with `request(bytes)` for its body and `requestEnd()`, and `head(response)`, `body(bytes)` and `end()` for
 *   the answer; what is cut off does not end.
 */
export async function openRelay(target, { token, record }) {
  const { protocol, hostname, port, pathname } = new URL(target);
  if (protocol !== "http:") throw new Error(`the relay speaks http only, not ${protocol}`);
  const line = token === undefined ? "" : `\r\nAuthorization: Bearer ${token}`;
  const open = new Set();

  const server = createServer({ allowHalfOpen: true }, (client) => {
    const upstream = connect({
      host: hostname.replace(/^\[|\]$/g, ""),
      port: Number(port || 80),
      allowHalfOpen: true,
    });
    for (const socket of [client, upstream]) {
      open.add(socket);
      socket.setNoDelay(true);
      socket.on("close", () => open.delete(socket));
    }
    const { requests, responses } = watch(record, line, (bytes) => upstream.write(bytes));
    // A client that leaves takes its upstream connection along; an upstream end reaches the client after its last byte.
    client.on("close", () => upstream.destroy());
    client.on("error", () => upstream.destroy());
    upstream.on("error", () => client.destroy());
    upstream.on("data", responses);
    upstream.pipe(client);
    client.on("data", requests);
    client.on("end", () => upstream.end());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${server.address().port}${pathname}`,
    close() {
      server.close();
      for (const socket of open) socket.destroy();
    },
  };
}

/** Follows one connection: `requests` passes what it is given on to `send`, `responses` only reads. */
function watch(record, line, send) {
  // Answers come in the order of their requests.
  const exchanges = [];
  let asking;
  const requests = follow({
    head(request, bytes) {
      send(Buffer.concat([bytes.subarray(0, -4), Buffer.from(`${line}\r\n\r\n`)]));
      asking = record(request);
      exchanges.push({ ...asking, bodyless: request.start.startsWith("HEAD ") });
    },
    raw: send,
    body: (bytes) => asking.request(bytes),
    end: () => asking.requestEnd(),
  });
  const responses = follow({
    head: (response) => exchanges[0]?.head(response),
    bodyless: () => exchanges[0]?.bodyless,
    body: (bytes) => exchanges[0]?.body(bytes),
    end: () => exchanges.shift()?.end(),
  });
  return { requests, responses };
}

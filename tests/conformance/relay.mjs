// Relays TCP connections to an HTTP endpoint and adds one header line, `Authorization: Bearer T`, to each request.
//
// Everything else passes byte for byte, in both directions and at once: header order, case, blanks around values,
// Host and Origin, streamed bodies. An HTTP proxy would normalise just what the header scenarios look at. Requests
// must state their length (Content-Length, or no body): a chunked one ends the connection.

import { connect, createServer } from "node:net";

const HEAD_END = Buffer.from("\r\n\r\n");

/** Listens on 127.0.0.1; `url` is the way in, with the path of the target. */
export async function openRelay(target, token) {
  const { protocol, hostname, port, pathname } = new URL(target);
  if (protocol !== "http:") throw new Error(`the relay speaks http only, not ${protocol}`);
  const line = Buffer.from(`\r\nAuthorization: Bearer ${token}`);
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
    // A client that leaves takes its upstream connection along; an upstream end reaches the client after its last byte.
    client.on("close", () => upstream.destroy());
    client.on("error", () => upstream.destroy());
    upstream.on("error", () => client.destroy());
    upstream.pipe(client);

    const add = headerAdder(line);
    client.on("data", (bytes) => {
      const out = add(bytes);
      if (out === undefined) client.destroy();
      else upstream.write(out);
    });
    client.on("end", () => upstream.end());
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}${pathname}`,
    close() {
      server.close();
      for (const socket of open) socket.destroy();
    },
  };
}

/** Follows the requests of one connection; gives the bytes to send on, or undefined where it lost the thread. */
function headerAdder(line) {
  let head = Buffer.alloc(0);
  let bodyLeft = 0;
  return (bytes) => {
    const out = [];
    let rest = bytes;
    while (rest.length > 0) {
      if (bodyLeft > 0) {
        out.push(rest.subarray(0, bodyLeft));
        const taken = Math.min(bodyLeft, rest.length);
        bodyLeft -= taken;
        rest = rest.subarray(taken);
        continue;
      }
      head = Buffer.concat([head, rest]);
      const end = head.indexOf(HEAD_END);
      if (end < 0) break;
      const text = head.toString("latin1", 0, end);
      if (/^transfer-encoding:/im.test(text)) return undefined;
      bodyLeft = Number(/^content-length:[ \t]*(\d+)/im.exec(text)?.[1] ?? 0);
      out.push(head.subarray(0, end), line, HEAD_END);
      rest = head.subarray(end + HEAD_END.length);
      head = Buffer.alloc(0);
    }
    return Buffer.concat(out);
  };
}

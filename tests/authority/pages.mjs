// Lists in pages, which the SDK's own handlers do not make.
//
// https://modelcontextprotocol.io/specification/2026-07-28/server/utilities/pagination

import { ProtocolError, ProtocolErrorCode } from "@modelcontextprotocol/server";

const LISTS = {
  "tools/list": "tools",
  "prompts/list": "prompts",
  "resources/list": "resources",
  "resources/templates/list": "resourceTemplates",
};

/** Has the list handlers of a server answer `size` entries at a time. */
export function paginate(server, size) {
  for (const [method, list] of Object.entries(LISTS)) {
    const handler = server._getRequestHandler(method);
    server.setRequestHandler(method, async (request, ctx) => {
      const start = startOf(request.params?.cursor);
      const whole = await handler(request, ctx);
      const end = start + size;
      const more = end < whole[list].length;
      return { ...whole, [list]: whole[list].slice(start, end), ...(more && { nextCursor: cursorOf(end) }) };
    });
  }
}

const cursorOf = (start) => Buffer.from(`from ${start}`).toString("base64");

function startOf(cursor) {
  if (cursor === undefined) return 0;
  const start = Number(/^from (\d+)$/.exec(Buffer.from(cursor, "base64").toString())?.[1]);
  if (Number.isNaN(start)) throw new ProtocolError(ProtocolErrorCode.InvalidParams, "no such cursor");
  return start;
}

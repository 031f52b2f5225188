// The same call twice, as an MCP client posts it to a server that has the handler.

const PREFIX = "io.modelcontextprotocol/";
const VERSION = "2026-07-28";
const TOKEN = "token-of-ann-0123456789";

export async function post(createHandler, authority) {
  const policy = [{ tool: "echo", rule: "cache; max-age=60" }];
  const handler = createHandler({ authority, policy, tokens: { [TOKEN]: "ann" } });
  const call = async (id) => {
    const response = await handler(new Request("http://host.test/mcp", { method: "POST", headers, body: body(id) }));
    const { result } = await response.json();
    const isHit = response.headers.get("cache-status").startsWith("leeward;hit");
    return [isHit ? "hit" : "miss", result.structuredContent.arguments.id];
  };
  const answers = [await call(1), await call(2)];
  await handler.close();
  return answers;
}

const headers = {
  authorization: `Bearer ${TOKEN}`,
  "content-type": "application/json",
  accept: "application/json, text/event-stream",
  "mcp-protocol-version": VERSION,
  "mcp-method": "tools/call",
  "mcp-name": "echo",
};

const body = (id) =>
  JSON.stringify({
    jsonrpc: "2.0",
    id,
    method: "tools/call",
    params: {
      name: "echo",
      arguments: { id: 7 },
      _meta: {
        [`${PREFIX}protocolVersion`]: VERSION,
        [`${PREFIX}clientInfo`]: { name: "a client", version: "1" },
        [`${PREFIX}clientCapabilities`]: {},
      },
    },
  });

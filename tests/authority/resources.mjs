// The resources: two static ones, one to watch, one template; and the legacy subscriptions.

import { ResourceTemplate } from "@modelcontextprotocol/server";
import { PNG_BASE64 } from "./media.mjs";

/**
 * Registers the resources; a legacy server also takes `resources/subscribe`, which 2026-07-28 removed. Returns the set
 * of URIs subscribed to so.
 */
export function addResources(mcp, era) {
  addText(mcp, "static-text", "A fixed text", "This is the content of the static text resource.");
  mcp.registerResource(
    "static-binary",
    "test://static-binary",
    { description: "A fixed image", mimeType: "image/png" },
    (uri) => ({ contents: [{ uri: uri.href, mimeType: "image/png", blob: PNG_BASE64 }] }),
  );
  addText(mcp, "watched-resource", "A text to subscribe to", "Watched resource content");
  mcp.registerResource(
    "template-data",
    new ResourceTemplate("test://template/{id}/data", { list: undefined }),
    { description: "Data by id", mimeType: "application/json" },
    (uri, { id }) => ({
      contents: [
        {
          uri: uri.href,
          mimeType: "application/json",
          text: JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` }),
        },
      ],
    }),
  );
  const subscribed = new Set();
  if (era === "legacy") {
    mcp.server.setRequestHandler("resources/subscribe", ({ params }) => {
      subscribed.add(params.uri);
      return {};
    });
    mcp.server.setRequestHandler("resources/unsubscribe", ({ params }) => {
      subscribed.delete(params.uri);
      return {};
    });
  }
  return subscribed;
}

function addText(mcp, name, description, content) {
  mcp.registerResource(name, `test://${name}`, { description, mimeType: "text/plain" }, (uri) => ({
    contents: [{ uri: uri.href, mimeType: "text/plain", text: content }],
  }));
}

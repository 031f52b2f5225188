// Serves the revisions before 2026-07-28: one MCP server per `initialize`, kept under its Mcp-Session-Id.
//
// Answers come as SSE with priming events (an `id:` and empty data), GET opens the session's own stream, DELETE
// ends it: https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#session-management

import { randomUUID } from "node:crypto";
import { WebStandardStreamableHTTPServerTransport } from "@modelcontextprotocol/server";

/** Creates the session table; `open` builds the server behind a new session. */
export function createSessions(open) {
  const sessions = new Map();

  async function fetch(request) {
    const id = request.headers.get("mcp-session-id");
    if (id !== null) {
      const session = sessions.get(id);
      return session ? session.transport.handleRequest(request) : refusal(404, -32001, "Session not found");
    }
    if (!(await opensSession(request))) {
      return refusal(400, -32000, "Bad Request: no valid session id provided");
    }
    const fixture = open();
    const transport = new WebStandardStreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      eventStore: createEventStore(),
      retryInterval: 100,
      onsessioninitialized: (sessionId) => void sessions.set(sessionId, { ...fixture, transport }),
      onsessionclosed: (sessionId) => void sessions.delete(sessionId),
    });
    await fixture.mcp.connect(transport);
    return transport.handleRequest(request);
  }

  return {
    fetch,
    /** Brings the lists of every open session up to date; each tells its client. */
    refresh() {
      for (const session of sessions.values()) session.refresh();
    },
    /** Tells the sessions that subscribed to this resource that it changed. */
    update(uri) {
      for (const session of sessions.values()) session.update(uri);
    },
    /** Forgets every session and says how many there were. */
    drop() {
      const dropped = sessions.size;
      for (const { mcp } of sessions.values()) mcp.close();
      sessions.clear();
      return dropped;
    },
  };
}

async function opensSession(request) {
  if (request.method !== "POST") return false;
  const body = await request.clone().text();
  try {
    return [JSON.parse(body)].flat().some((message) => message?.method === "initialize");
  } catch {
    return false;
  }
}

function refusal(status, code, message) {
  return Response.json({ jsonrpc: "2.0", error: { code, message } }, { status });
}

/** Keeps every event of one session, for clients that come back with Last-Event-ID. */
function createEventStore() {
  const events = [];
  return {
    async storeEvent(streamId, message) {
      events.push({ streamId, message });
      return String(events.length);
    },
    async getStreamIdForEventId(eventId) {
      return events[Number(eventId) - 1]?.streamId;
    },
    async replayEventsAfter(lastEventId, { send }) {
      const streamId = events[Number(lastEventId) - 1]?.streamId;
      for (let i = Number(lastEventId); i < events.length; i += 1) {
        const { message } = events[i];
        const isPriming = Object.keys(message).length === 0;
        if (events[i].streamId === streamId && !isPriming) await send(String(i + 1), message);
      }
      return streamId;
    },
  };
}

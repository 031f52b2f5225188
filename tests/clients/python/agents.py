"""The official Python client and FastMCP's, unchanged, behind one way to ask.

They differ in what methods and handlers are named, and only in that here. Results come as plain JSON values.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version

import fastmcp
import httpx2
import mcp
import mcp_types as types
from fastmcp.client.transports import StreamableHttpTransport
from mcp.client.streamable_http import streamable_http_client
from mcp.client.subscriptions import listen

ROOT = types.Root(uri="file:///home/test", name="home")


def plain(model):
    """A model as the JSON it came as."""
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)


class Inbox:
    """What came, by method, for whoever asks before or after."""

    def __init__(self):
        self._boxes = defaultdict(asyncio.Queue)

    def put(self, method, params):
        self._boxes[method].put_nowait(params)

    async def take(self, method):
        return await self._boxes[method].get()

    def waiting(self, method):
        return self._boxes[method].qsize()


class Agent:
    """A connected client; the classes below say how each kind is asked."""

    def __init__(self):
        self.inbox = Inbox()
        self.opened = asyncio.Event()
        """Set once the server has opened its own stream (GET) to this session."""

    async def _responded(self, response):
        if response.request.method == "GET" and response.is_success:
            self.opened.set()

    def _http(self, headers=None, auth=None, timeout=None, **_):
        return httpx2.AsyncClient(
            headers=headers,
            auth=auth,
            timeout=httpx2.Timeout(60),
            event_hooks={"response": [self._responded]},
            # Everything is on this machine, by http; to make ready for https takes a while.
            verify=False,
        )

    async def _message(self, message):
        # Logs have a callback of their own.
        if not isinstance(message, Exception | types.LoggingMessageNotification):
            self.inbox.put(message.method, plain(message.params) if message.params else {})

    async def _log(self, params):
        self.inbox.put("notifications/message", plain(params))

    def _sampled(self, messages):
        self.inbox.put("sampling/createMessage", {})
        text = types.TextContent(type="text", text=f"sampled: {messages[0].content.text}")
        return types.CreateMessageResult(model="test-model", role="assistant", content=text)

    def _elicited(self, params):
        self.inbox.put("elicitation/create", {})
        properties = params.requested_schema["properties"]
        content = {name: True if of["type"] == "boolean" else f"my {name}" for name, of in properties.items()}
        return types.ElicitResult(action="accept", content=content)

    async def pages(self, ask, key):
        """Every entry of a list, page by page."""
        entries, cursor = [], None
        while True:
            page = plain(await ask(cursor=cursor))
            entries += page[key]
            cursor = page.get("nextCursor")
            if cursor is None:
                return entries

    def session(self):
        return self.client.session

    def listen(self, **filters):
        return listen(self.session(), **filters)


class Official(Agent):
    """The client of the official SDK."""

    def __init__(self, url, headers, mode):
        super().__init__()
        self._stack = AsyncExitStack()
        self._connection = (url, headers, mode)

    async def __aenter__(self):
        url, headers, mode = self._connection
        http = await self._stack.enter_async_context(self._http(headers))

        async def sampling(_, params):
            return self._sampled(params.messages)

        async def elicitation(_, params):
            return self._elicited(params)

        async def roots(_):
            self.inbox.put("roots/list", {})
            return types.ListRootsResult(roots=[ROOT])

        self.client = mcp.Client(
            streamable_http_client(url, http_client=http),
            mode=mode,
            sampling_callback=sampling,
            elicitation_callback=elicitation,
            list_roots_callback=roots,
            logging_callback=self._log,
            message_handler=self._message,
            # What it keeps itself would not go out.
            cache=None,
        )
        await self._stack.enter_async_context(self.client)
        return self

    async def __aexit__(self, *_):
        await self._stack.aclose()

    async def tools(self):
        return await self.pages(self.client.list_tools, "tools")

    async def prompts(self):
        return await self.pages(self.client.list_prompts, "prompts")

    async def resources(self):
        return await self.pages(self.client.list_resources, "resources")

    async def templates(self):
        return await self.pages(self.client.list_resource_templates, "resourceTemplates")

    async def page(self, cursor):
        return plain(await self.client.list_tools(cursor=cursor))

    async def call(self, name, arguments, progress=None, meta=None):
        return plain(await self.client.call_tool(name, arguments, progress_callback=progress, meta=meta))

    async def read(self, uri):
        return plain(await self.client.read_resource(uri))

    async def prompt(self, name, arguments):
        return plain(await self.client.get_prompt(name, arguments))

    async def complete(self, name, argument):
        ref = types.PromptReference(type="ref/prompt", name=name)
        return plain(await self.client.complete(ref, argument))


class FastMcp(Agent):
    """FastMCP's client."""

    def __init__(self, url, headers, mode):
        super().__init__()

        async def sampling(messages, *_):
            return self._sampled(messages)

        async def elicitation(_message, _type, params, _context):
            return self._elicited(params).content

        async def roots(_):
            self.inbox.put("roots/list", {})
            return [ROOT]

        self.client = fastmcp.Client(
            StreamableHttpTransport(url, headers=headers, httpx_client_factory=self._http),
            mode=mode,
            sampling_handler=sampling,
            elicitation_handler=elicitation,
            roots=roots,
            log_handler=self._log,
            message_handler=self._message,
        )

    async def __aenter__(self):
        await self.client.__aenter__()
        return self

    async def __aexit__(self, *exception):
        await self.client.__aexit__(*exception)

    async def tools(self):
        return [plain(tool) for tool in await self.client.list_tools()]

    async def prompts(self):
        return [plain(prompt) for prompt in await self.client.list_prompts()]

    async def resources(self):
        return [plain(resource) for resource in await self.client.list_resources()]

    async def templates(self):
        return [plain(template) for template in await self.client.list_resource_templates()]

    async def page(self, cursor):
        return plain(await self.client.list_tools_mcp(cursor=cursor))

    async def call(self, name, arguments, progress=None, meta=None):
        return plain(await self.client.call_tool_mcp(name, arguments, progress_handler=progress, meta=meta))

    async def read(self, uri):
        return {"contents": [plain(content) for content in await self.client.read_resource(uri)]}

    async def prompt(self, name, arguments):
        return plain(await self.client.get_prompt(name, arguments))

    async def complete(self, name, argument):
        ref = types.PromptReference(type="ref/prompt", name=name)
        return plain(await self.client.complete_mcp(ref, argument))


_MCP, _FASTMCP = version("mcp"), version("fastmcp-slim")
CLIENTS = [
    (f"Python {_MCP}", "modern", Official, "auto"),
    (f"Python {_MCP} legacy", "legacy", Official, "legacy"),
    (f"FastMCP {_FASTMCP}", "modern", FastMcp, "auto"),
    (f"FastMCP {_FASTMCP} legacy", "legacy", FastMcp, "legacy"),
]
"""Name, era in which it speaks where the other side can, class and mode."""


@asynccontextmanager
async def connect(kind, mode, way):
    """A connected client of this kind, over this way."""
    token = way.get("token")
    headers = {"authorization": f"Bearer {token}"} if token else {}
    async with kind(way["url"], headers, mode) as agent:
        yield agent

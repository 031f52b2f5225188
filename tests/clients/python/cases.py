"""What every client is asked; the same as ../*.test.mjs, by the same names.

A case is registered with what a way must carry for it, the era of its clients, that of the authority, and the sides.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Callable

import httpx2
from mcp import MCPError

CACHE = "dev.leeward/cache"
WATCHED = "test://watched-resource"
OTHER = "test://static-text"
TASKS = {
    *("greet", "slow_compute", "failing_job", "protocol_error_job", "confirm_delete", "multi_input"),
    "test_tool_with_task",
}
REPLICAS = ("worker", "fetch")
_ids = count(1)


@dataclass
class Case:
    name: str
    action: Callable
    need: str | None = None
    era: str | None = None
    authority: str | None = None
    sides: tuple[str, ...] = ("direct", *REPLICAS)
    together: bool = False
    """Whether it runs beside others of its kind: see ../given_up.test.mjs."""


@dataclass
class At:
    """Where a case runs. `connect(side)` gives another client, over that side's way to the same authority."""

    agent: Any
    way: dict
    connect: Callable
    control: httpx2.AsyncClient = field(repr=False)

    async def stats(self):
        return (await self.control.get(f"{self.way['control']}__stats")).json()

    async def asked(self):
        """What reached the authority, but for what a replica listens to on behalf of a session."""
        methods = (await self.stats())["methods"]
        return {method: times for method, times in methods.items() if method != "subscriptions/listen"}

    async def gave_up(self, name):
        await self.control.get(f"{self.way['control']}__left", params={"name": name})


CASES: list[Case] = []


def case(name, **of):
    def register(action):
        CASES.append(Case(name, action, **of))
        return action

    return register


def fresh():
    """A name that no other case has asked for; not one of the other suite's either."""
    return f"py-{next(_ids)}"


def equal(got, wanted):
    assert got == wanted, f"{got!r} is not {wanted!r}"


async def outcome(asked):
    try:
        result = await asked
    except MCPError as error:
        return {"code": error.code, "message": error.message, "data": error.data}
    return {key: value for key, value in result.items() if key not in ("_meta", "ttlMs", "cacheScope")}


async def every_list(agent):
    # The authority has its tasks in the newest revision alone: a client of an older one gets them through a replica.
    tools = [tool for tool in await agent.tools() if tool["name"] not in TASKS]
    return {"lists": [tools, await agent.prompts(), await agent.resources(), await agent.templates()]}


async def mirrored(agent):
    # A client learns from the list what it has to mirror.
    await agent.tools()
    return await agent.call("test_header_parameter", {"region": "Zürich "})


async def misfit(agent):
    answer = await agent.call("get_ticket", {"id": 7})
    # Whoever judges them has words of its own.
    (content,) = answer["content"]
    words = ("Invalid arguments for tool get_ticket", "/id", "string")
    return {"isError": answer["isError"], "says": [word in content["text"] for word in words]}


REQUESTS = {
    "every list, page by page": every_list,
    "a cursor that is none": lambda agent: agent.page("no-cursor"),
    "a text": lambda agent: agent.call("test_simple_text", {}),
    "several kinds of content": lambda agent: agent.call("test_multiple_content_types", {}),
    "a call that fails": lambda agent: agent.call("test_error_handling", {}),
    "an unknown tool": lambda agent: agent.call("no_such_tool", {}),
    "arguments that do not fit": misfit,
    "an argument that is mirrored as a header": mirrored,
    "a text resource": lambda agent: agent.read("test://static-text"),
    "a binary resource": lambda agent: agent.read("test://static-binary"),
    "a resource of a template": lambda agent: agent.read("test://template/7/data"),
    "an unknown resource": lambda agent: agent.read("test://no-such"),
    "a prompt": lambda agent: agent.prompt("test_prompt_with_arguments", {"arg1": "a", "arg2": "ü"}),
    "a prompt without its arguments": lambda agent: agent.prompt("test_prompt_with_arguments", {}),
    "an unknown prompt": lambda agent: agent.prompt("no_such_prompt", {}),
    "a completion": lambda agent: agent.complete("test_prompt_with_arguments", {"name": "arg1", "value": "par"}),
}

for _name, _ask in REQUESTS.items():

    @case(f"{_name}, as without a replica", sides=REPLICAS)
    async def as_direct(at, ask=_ask):
        direct = await at.connect("direct")
        expected = await outcome(ask(direct))
        for _ in ("cold", "again"):
            equal(await outcome(ask(at.agent)), expected)


@case("lists come whole, over several pages")
async def whole(at):
    before = (await at.stats())["methods"].get("tools/list", 0)
    names = [tool["name"] for tool in await at.agent.tools()]
    equal(len(set(names)), len(names))
    assert {"test_simple_text", "update_ticket", "test_trigger_resource_update"} <= set(names)
    if at.way["side"] == "direct":
        equal((await at.stats())["methods"]["tools/list"] - before, -(-len(names) // 5))


@case("a call travels once", sides=REPLICAS)
async def once(at):
    ticket = {"id": fresh()}
    before = (await at.stats())["tools"].get("get_ticket", 0)
    other = await at.connect()
    answers = [await agent.call("get_ticket", ticket) for agent in (at.agent, at.agent, other)]
    equal([answer["structuredContent"]["calls"] for answer in answers], [1, 1, 1])
    assert re.match(r"leeward;fwd=uri-miss;stored", answers[0]["_meta"][CACHE]), answers[0]
    for answer in answers[1:]:
        assert re.fullmatch(r"leeward;hit;ttl=\d+", answer["_meta"][CACHE]), answer
    equal((await at.stats())["tools"]["get_ticket"] - before, 1)


@case("lists and a read travel once", sides=REPLICAS, authority="modern")
async def lists_once(at):
    async def ask(agent):
        return [await agent.tools(), await agent.prompts(), await agent.read("test://static-text")]

    first = await ask(at.agent)
    before = await at.asked()
    again = await ask(await at.connect())
    equal(again[:2], first[:2])
    equal(await at.asked(), before)


@case("a write is seen by the next read")
async def write(at):
    ticket = {"id": fresh()}
    await at.agent.call("get_ticket", ticket)
    await at.agent.call("update_ticket", {**ticket, "title": "new"})
    equal((await at.agent.call("get_ticket", ticket))["structuredContent"]["title"], "new")


@case("what policy denies is refused in the replica", sides=REPLICAS)
async def denied(at):
    refused = await outcome(at.agent.call("denied", {}))
    equal((refused["code"], refused["data"]["code"]), (1003, "denied_by_policy"))
    assert "denied" not in (await at.stats())["tools"]


@case("progress comes before the result")
async def progress(at):
    steps = []

    async def step(progress, total, message):
        steps.append((progress, total, message))

    result = await at.agent.call("test_tool_with_progress", {}, step)
    equal(result["content"][0]["text"], "Tool execution completed")
    equal(steps, [(done, 100, f"Completed step {done} of 100") for done in (0, 50, 100)])


LINES = ["Tool execution started", "Tool processing data", "Tool execution completed"]


@case("logs come where the request asks for them", need="logs", era="modern")
async def logs(at):
    for level in ("error", "info"):
        await at.agent.call("test_logging_tool", {}, meta={"io.modelcontextprotocol/logLevel": level})
    told = [await at.agent.inbox.take("notifications/message") for _ in LINES]
    equal([(line["level"], line["data"]) for line in told], [("info", line) for line in LINES])


LISTENING = {"need": "listen", "era": "modern"}


@case("a subscription hears of its resource, and the next read is new", **LISTENING)
async def resource_updated(at):
    async with at.agent.listen(resource_subscriptions=[WATCHED]) as subscription:
        equal(subscription.honored.resource_subscriptions, [WATCHED])
        await at.agent.read(WATCHED)
        await at.agent.read(WATCHED)
        before = (await at.stats())["resources"][WATCHED]
        await at.agent.call("test_trigger_resource_update", {"uri": WATCHED})
        equal((await anext(subscription)).uri, WATCHED)
        await at.agent.read(WATCHED)
        equal((await at.stats())["resources"][WATCHED], before + 1)


async def hears_of_tools(agent, heard):
    """Changes the list of tools twice: `agent` hears of both, and its list has what the second changed."""
    seen = []
    # What the list was before may be as old as its authority allows, since nobody listened then.
    for _ in range(2):
        await agent.tools()
        await agent.call("test_trigger_tool_change", {})
        await heard()
        seen.append(any(tool["name"] == "test_dynamic_tool" for tool in await agent.tools()))
    equal(seen[1], not seen[0])


@case("a subscription hears of a list, and the next list is new", **LISTENING)
async def list_changed(at):
    async with at.agent.listen(tools_list_changed=True, prompts_list_changed=True) as subscription:

        async def heard():
            equal(type(await anext(subscription)).__name__, "ToolsListChanged")

        await hears_of_tools(at.agent, heard)
        await at.agent.call("test_trigger_prompt_change", {})
        equal(type(await anext(subscription)).__name__, "PromptsListChanged")


ASKED = {
    "test_sampling": ({"prompt": "hi"}, "sampling/createMessage", "LLM response: sampled: hi"),
    "test_elicitation": (
        {"message": "who?"},
        "elicitation/create",
        'User response: action=accept, content={"username":"my username","email":"my email"}',
    ),
    "test_input_required_result_list_roots": ({}, "roots/list", '[{"uri":"file:///home/test","name":"home"}]'),
}
STREAM = {"need": "session stream", "era": "legacy"}

for _name, (_arguments, _method, _text) in ASKED.items():
    for _of in ({"need": "input required", "era": "modern"}, {"need": "session asks", "era": "legacy"}):

        @case(f"{_name} asks the client", **_of)
        async def asks(at, name=_name, arguments=_arguments, method=_method, text=_text):
            equal((await at.agent.call(name, arguments))["content"][0]["text"], text)
            equal(at.agent.inbox.waiting(method), 1)


@case("several rounds, whose state passes unharmed", need="input required", era="modern")
async def rounds(at):
    result = await at.agent.call("test_input_required_result_multi_round", {})
    equal(result["content"][0]["text"], "my name likes my color")


@case("a session hears of a resource while it is subscribed to it", **STREAM)
async def subscribe(at):
    agent = at.agent
    await agent.opened.wait()
    await agent.session().subscribe_resource(WATCHED)
    await agent.read(WATCHED)
    before = (await at.stats())["resources"][WATCHED]
    await agent.call("test_trigger_resource_update", {"uri": WATCHED})
    equal((await agent.inbox.take("notifications/resources/updated"))["uri"], WATCHED)
    await agent.read(WATCHED)
    equal((await at.stats())["resources"][WATCHED], before + 1)
    await agent.session().unsubscribe_resource(WATCHED)
    # A replica renews what it listens to; once it is agreed to tell of the other, the one before is not heard any more.
    await agent.session().subscribe_resource(OTHER)
    for uri in (WATCHED, OTHER):
        await agent.call("test_trigger_resource_update", {"uri": uri})
    equal((await agent.inbox.take("notifications/resources/updated"))["uri"], OTHER)


@case("a session hears of a list, and the next list is new", **STREAM)
async def session_list_changed(at):
    await at.agent.opened.wait()
    await hears_of_tools(at.agent, lambda: at.agent.inbox.take("notifications/tools/list_changed"))


@case("a session has its own level of logging", need="session logs", era="legacy")
async def logging(at):
    quiet = await at.connect()
    await quiet.session().set_logging_level("error")
    await at.agent.session().set_logging_level("info")
    for agent in (quiet, at.agent):
        await agent.call("test_tool_with_logging", {})
    told = [await at.agent.inbox.take("notifications/message") for _ in LINES]
    equal([(line["level"], line["data"]) for line in told], [("info", line) for line in LINES])
    equal(quiet.inbox.waiting("notifications/message"), 0)


@case("ping", era="legacy")
async def ping(at):
    await at.agent.session().send_ping()


GIVEN = {"need": "cancellation", "era": "modern", "together": True}


async def hold(at, agent):
    """A call under way, whose first progress is here."""
    name = fresh()
    began = asyncio.Event()

    async def step(*_):
        began.set()

    call = asyncio.create_task(agent.call("hold", {"id": name}, step))
    await began.wait()
    return name, call


@case("a call", **GIVEN)
@case("a call", need="session cancellation", era="legacy", together=True)
async def give_up(at):
    name, call = await hold(at, at.agent)
    call.cancel()
    try:
        await call
        raise AssertionError("it was given up")
    except asyncio.CancelledError:
        pass
    await at.gave_up(name)
    # And the client is as good as before.
    equal(len((await at.agent.call("test_simple_text", {}))["content"]), 1)


@case("a subscription", need="listen", era="modern", authority="modern", together=True)
async def unlisten(at):
    uri = f"test://template/{fresh()}/data"
    async with at.agent.listen(resource_subscriptions=[uri]):
        pass
    await at.gave_up(uri)

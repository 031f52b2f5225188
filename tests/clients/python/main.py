"""Asks every case of every Python client, over every way that carries it, and prints TAP.

LEEWARD_WAYS holds the ways as JSON (../python.mjs): `side`, `authority`, `url`, `token`, `control`, and `lacks`, which
has for the era of an agent what the way does not carry.
"""

from __future__ import annotations

import asyncio
import json
import os
import traceback
import warnings
from contextlib import AsyncExitStack

import httpx2

from agents import CLIENTS, connect
from cases import CASES, At

LIMIT_SECONDS = 120
"""For what would otherwise hang: no case measures time."""


async def run(case, kind, mode, ways, way):
    """Why a case failed, or None."""
    by_side = {other["side"]: other for other in ways if other["authority"] == way["authority"]}
    try:
        async with asyncio.timeout(LIMIT_SECONDS), AsyncExitStack() as stack:

            async def more(side=way["side"]):
                return await stack.enter_async_context(connect(kind, mode, by_side[side]))

            control = await stack.enter_async_context(httpx2.AsyncClient(timeout=None, verify=False))
            await case.action(At(await more(), way, more, control))
    except Exception:
        return traceback.format_exc()
    return None


def runs(ways):
    """Every case with where it runs, one label each."""
    for case in CASES:
        for client, era, kind, mode in CLIENTS:
            for way in ways:
                wanted = (
                    case.era in (None, era)
                    and case.authority in (None, way["authority"])
                    and way["side"] in case.sides
                    and case.need not in way["lacks"][era]
                )
                if wanted:
                    label = f"{client} | {way['side']}, {way['authority']} authority | {case.name}"
                    yield label, case, run(case, kind, mode, ways, way)


async def main():
    # Some cases ask for what the newest revision does no more have.
    warnings.simplefilter("ignore")
    passed = failed = 0

    def tell(label, fault):
        nonlocal passed, failed
        passed, failed = passed + (fault is None), failed + (fault is not None)
        print(f"{'ok' if fault is None else 'not ok'} {passed + failed} - {label}", flush=True)
        for line in (fault or "").splitlines():
            print(f"# {line}", flush=True)

    together = []
    for label, case, asked in runs(json.loads(os.environ["LEEWARD_WAYS"])):
        if case.together:
            together.append((label, asked))
        else:
            tell(label, await asked)
    faults = await asyncio.gather(*(asked for _, asked in together))
    for (label, _), fault in zip(together, faults, strict=True):
        tell(label, fault)
    print(f"1..{passed + failed}\n# pass {passed}\n# fail {failed}")
    return failed == 0


if __name__ == "__main__":
    raise SystemExit(0 if asyncio.run(main()) else 1)

"""A mixed load on the REST API of a hub that has one processor: how many requests a second, and how long each takes."""

import asyncio
import json
import os
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from subprocess import PIPE, Popen
from typing import Any

import aiohttp

from plantgate_hub.api import PREFIX
from tests.lab.hosts import ROOT

from .api_server import HOST
from .registry import Figure, benchmark
from .snapshot import GRANTS_EACH, ORGANIZATIONS, PEOPLE, PLANTS

SECONDS = 10.0
WARM_UP = 1.0
CLIENTS = 16


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    who: str
    body: Any = None


def _plant(rng: random.Random) -> tuple[str, str]:
    """A plant and its organization's Administrator."""
    number = rng.randrange(PLANTS)
    return f"plant{number}", f"p{number % ORGANIZATIONS}"


def _read(path: str) -> Callable[[random.Random], Request]:
    def make(rng: random.Random) -> Request:
        plant, administrator = _plant(rng)
        return Request("GET", path.format(plant=plant, organization=f"o{administrator[1:]}"), administrator)

    return make


def _own(path: str) -> Callable[[random.Random], Request]:
    return lambda rng: Request("GET", path, f"p{rng.randrange(PEOPLE)}")


def _rename(rng: random.Random) -> Request:
    plant, administrator = _plant(rng)
    return Request("PATCH", f"/plants/{plant}", administrator, {"name": f"Plant {rng.random()}"})


def _give(rng: random.Random) -> Request:
    plant, administrator = _plant(rng)
    member = int(administrator[1:]) + ORGANIZATIONS * rng.randrange(1, PEOPLE // ORGANIZATIONS)
    return Request("POST", f"/plants/{plant}/grants", administrator, {"person": f"p{member}", "job": "operator"})


MIX: tuple[tuple[int, Callable[[random.Random], Request]], ...] = (
    (20, _own("/plants")),
    (15, _own("/me")),
    (15, _own("/me/routes")),
    (10, _own("/me/profiles")),
    (10, _read("/plants/{plant}")),
    (5, _read("/plants/{plant}/subnets")),
    (5, _read("/plants/{plant}/grants")),
    (5, _read("/plants/{plant}/status")),
    (5, _read("/organizations/{organization}/members")),
    (5, _rename),
    (5, _give),
)
"""Kinds of requests, in percent: one in ten changes something."""


@benchmark("api-requests", f"requests/s of a mixed API load on one processor, at {PEOPLE:,} people, {PLANTS:,} plants")
def api_requests() -> Iterator[Figure]:
    with Popen(
        [sys.executable, "-u", "-m", "tests.bench.api_server"], cwd=ROOT, stdin=PIPE, stdout=PIPE, text=True
    ) as server:
        assert server.stdin
        assert server.stdout
        port = int(server.stdout.readline())
        before = os.sched_getaffinity(0)
        others = before - {max(before)}
        os.sched_setaffinity(0, others or before)
        try:
            done, failed = asyncio.run(_load(port))
        finally:
            os.sched_setaffinity(0, before)
        server.stdin.close()
        report = json.loads(server.stdout.readline())
    milliseconds = sorted(seconds * 1000 for seconds in report["times"])
    yield Figure.plain(
        "api-requests mixed load",
        done / SECONDS,
        "requests/s",
        at_least=300,
        clients=CLIENTS,
        grants_each=GRANTS_EACH,
        processor_ms_each=report["cpu"] / len(milliseconds) * 1000,
    )
    yield Figure.plain("api-requests errors", failed, "requests", at_most=0)
    yield Figure.plain(
        "api-requests server time p95",
        statistics.quantiles(milliseconds, n=20)[-1],
        "ms",
        median=statistics.median(milliseconds),
        longest=milliseconds[-1],
    )


async def _load(port: int) -> tuple[int, int]:
    """(requests answered within SECONDS after the warm-up, requests that failed)"""
    done = failed = 0
    began = time.monotonic() + WARM_UP
    ends = began + SECONDS

    async def one(number: int, session: aiohttp.ClientSession) -> None:
        nonlocal done, failed
        rng = random.Random(number)
        kinds = [make for weight, make in MIX for _ in range(weight)]
        while time.monotonic() < ends:
            request = rng.choice(kinds)(rng)
            headers = {"Host": HOST, "Authorization": f"Bearer {request.who}", "If-Match": "*"}
            url = f"http://127.0.0.1:{port}{PREFIX}{request.path}"
            async with session.request(request.method, url, json=request.body, headers=headers) as reply:
                await reply.read()
            failed += reply.status >= 400
            done += began <= time.monotonic() < ends

    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as clients:
        for number in range(CLIENTS):
            clients.create_task(one(number, session))
    return done, failed

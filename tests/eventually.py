"""Waiting for a condition instead of sleeping."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any


async def eventually(condition: Callable[[], Any | Awaitable[Any]], timeout: float = 20.0, poll: float = 0.02) -> Any:
    """The first true result of `condition`, which may raise AssertionError or OSError while it does not hold yet."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            result = condition()
            if inspect.isawaitable(result):
                result = await result
            if result:
                return result
            failure: Exception | None = None
        except (AssertionError, OSError) as error:
            failure = error
        if time.monotonic() >= deadline:
            raise AssertionError(f"did not come true within {timeout} s: {failure or condition}")
        await asyncio.sleep(poll)


def wait_until(condition: Callable[[], Any], timeout: float = 20.0, poll: float = 0.02) -> Any:
    """`eventually` for synchronous code."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            if result := condition():
                return result
            failure: Exception | None = None
        except (AssertionError, OSError) as error:
            failure = error
        if time.monotonic() >= deadline:
            raise AssertionError(f"did not come true within {timeout} s: {failure or condition}")
        time.sleep(poll)

"""Exchanges under way: what cannot be decided any more has ended."""

import contextlib
import functools

from plantgate_hub.proxy.live import Exchange, LiveExchanges


def test_an_exchange_that_cannot_be_decided_ends_and_so_do_the_others_that_may_not_go_on() -> None:
    ended: list[str] = []

    def allowed(exchange: Exchange, _now: float) -> bool:
        if exchange.session == "broken":
            raise KeyError("a bug")
        return exchange.session == "good"

    live = LiveExchanges(allowed, lambda: 0.0)
    with contextlib.ExitStack() as stack:
        for session in ("broken", "good", "over"):
            stack.enter_context(live.track(Exchange(session, "h", functools.partial(ended.append, session))))
        live.recheck()
        live.recheck()
    assert sorted(ended) == ["broken", "over"]

"""POST /enroll/v1: a gateway with a one-time code becomes an agent of the code's plant."""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Protocol

from aiohttp import web

from plantgate_shared.errors import Conflict, InvalidInput, PlantgateError
from plantgate_shared.identity import enrolment, wire
from plantgate_shared.identity.enrolment import EnrolmentError, Reason, Request
from plantgate_shared.identity.handshake import PinnedHub
from plantgate_shared.logging import Event, get_logger
from plantgate_shared.secret import Secret

from ..domain.model import Agent, PlantId
from ..identity.throttle import Key, Limit, Throttle

PATH = "/enroll/v1"
BODY_SECONDS = 10.0
"""Time for the request's few hundred bytes."""
ALL = Key(Limit(burst=100, interval=0.05), "all")
"""Attempts at this node. Codes have 100 bits: the limit protects the database, not the codes."""
EACH = Limit(burst=10, interval=5.0)
"""Attempts from one address; an installer who mistypes needs a few, a site behind one NAT address some more."""

STATUS = {
    Reason.MALFORMED: 400,
    Reason.CODE: 403,
    Reason.CERTIFICATE: 403,
    Reason.GATEWAY: 409,
    Reason.BUSY: 429,
    Reason.UNAVAILABLE: 503,
}
_UNKNOWN = Secret(bytes(32))
"""Checked in place of an unknown code's key, so that unknown and wrong take the same time."""


class Code(Protocol):
    """A one-time code as the store keeps it."""

    @property
    def mac_key(self) -> bytes: ...
    @property
    def plant(self) -> PlantId: ...


@dataclass(frozen=True, slots=True)
class NewAgent:
    """What the store is to make an agent of."""

    identity_key: bytes
    wireguard_key: str
    name: str
    """What the gateway calls itself."""


class Enrolments(Protocol):
    """What enrolment needs of the store."""

    async def find(self, lookup: str) -> Code | None:
        """The code, also when it was used or has expired: `enrol` decides that."""

    async def enrol(self, lookup: str, agent: NewAgent, now: float) -> tuple[Agent, str] | None:
        """Use the code up and make its agent, both in one change; the agent and its plant's name.

        None when the code is unknown, used or expired. The same gateway (by its identity key) asking again gets the
        agent that it made of this code before: its first reply may have been lost. Raises Conflict or InvalidInput,
        and leaves the code unused, when it cannot be an agent of this plant.
        """


class EnrolmentEndpoint:
    """The aiohttp handler. `clock` is the time of day, which codes expire by."""

    def __init__(
        self,
        enrolments: Enrolments,
        hub: PinnedHub,
        certificates: Callable[[], Collection[bytes]],
        clock: Callable[[], float],
    ) -> None:
        self._enrolments = enrolments
        self._hub = hub
        self._certificates = certificates
        self._clock = clock
        self._throttle = Throttle()
        self._log = get_logger()

    def routes(self) -> list[web.RouteDef]:
        return [web.post(PATH, self.handle)]

    async def handle(self, request: web.Request) -> web.Response:
        try:
            keys = (ALL, Key(EACH, f"address {request.remote}"))
            if self._throttle.take(keys, asyncio.get_running_loop().time()):
                raise EnrolmentError(Reason.BUSY)
            reply = await self._enrol(enrolment.read_request(await _body(request)))
        except EnrolmentError as error:
            self._log.info(Event.ENROLMENT_REFUSED, reason=str(error.reason))
            headers = {"Retry-After": "60"} if error.reason is Reason.BUSY else None
            return _response(enrolment.encode(enrolment.Failure(str(error.reason))), STATUS[error.reason], headers)
        return _response(reply)

    async def _enrol(self, request: Request) -> bytes:
        try:
            code = await self._enrolments.find(request.lookup)
            key = Secret(code.mac_key) if code else _UNKNOWN
            enrolment.check_request(request, key, self._certificates())
            if code is None:  # nobody can hold the key of a code that does not exist; still, never go on with it
                raise EnrolmentError(Reason.CODE)
            new = NewAgent(request.identity_key, request.wireguard_key, request.name)
            made = await self._enrolments.enrol(request.lookup, new, self._clock())
        except EnrolmentError:
            raise
        except (Conflict, InvalidInput) as error:
            self._log.warning(Event.ENROLMENT_REFUSED, plant=code.plant if code else "", error=str(error))
            raise EnrolmentError(Reason.GATEWAY) from None
        except PlantgateError as error:
            self._log.warning(Event.STORE_UNREACHABLE, error=str(error))
            raise EnrolmentError(Reason.UNAVAILABLE) from None
        if made is None:
            raise EnrolmentError(Reason.CODE)
        agent, plant_name = made
        self._log.info(Event.AGENT_ENROLLED, agent=agent.id, plant=agent.plant)
        return enrolment.make_reply(request, key, agent.id, agent.epoch, self._hub, plant_name)


async def _body(request: web.Request) -> bytes:
    """The body, unless it is longer than any request or takes too long. Raises EnrolmentError."""
    body = b""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while chunk := await request.content.read(wire.MAX_MESSAGE + 1 - len(body)):  # no more than one too many
                body += chunk
    except TimeoutError:
        raise EnrolmentError(Reason.MALFORMED, "the request did not arrive in time") from None
    return body


def _response(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(body=body, status=status, content_type=enrolment.CONTENT_TYPE, headers=headers)

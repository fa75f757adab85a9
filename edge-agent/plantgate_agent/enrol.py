"""Enrolment on the gateway: keys made here, the code proves both sides, the boundary is the installer's decision."""

import http.client
import os
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from plantgate_shared.errors import Conflict, InvalidInput, PlantgateError
from plantgate_shared.identity.enrolment import (
    CONTENT_TYPE,
    Enrolled,
    EnrolmentError,
    GatewayEnrolment,
    Reason,
    parse_code,
)
from plantgate_shared.identity.keys import IdentityKey, certificate_sha256

from . import boundary as boundaries
from .boundary import Boundary
from .config import AgentConfig
from .lans import Lan
from .reach import unreachable
from .state import Enrolment, HubUrl, StateDirectory
from .tls import client_context

PATH = "/enroll/v1"
TIMEOUT = 20.0
"""Seconds for connecting and for the answer."""
ATTEMPTS = 3
"""A repeated request of the same gateway is answered as before, so a connection lost on a thin line is tried again."""
MAX_ANSWER = 64 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """What the person at the gateway gave."""

    hub: HubUrl
    code: str
    boundary_file: Path | None = None
    yes: bool = False
    replace: bool = False


Ask = Callable[[str], str]
Say = Callable[[str], None]


def enrol(
    config: AgentConfig, request: Request, lans: Sequence[Lan], ask: Ask | None, say: Say
) -> tuple[Enrolment, IdentityKey]:
    """From the code to a pinned hub and a written boundary. Nothing is sent before the boundary is decided.

    `ask` is None where nobody can answer. Raises PlantgateError with cause and remedy.
    """
    parse_code(request.code)
    state = StateDirectory(config.state_dir, config.worker_user)
    if state.enrolled() and not request.replace:
        known = state.enrolment()
        raise Conflict(
            f"this gateway is already enrolled at {known.hub} for the plant {known.plant_name!r}",
            hint="add --replace to give that up and enrol anew",
        )
    boundary = choose_boundary(config, request, lans, ask, say)
    boundaries.check_writable(config.boundary_file)
    state.prepare()
    fresh = state.successor() if state.enrolled() else state
    fresh.prepare()
    identity, wireguard = fresh.identity(), fresh.wireguard()
    say(f"asking {request.hub} ...")
    enrolment = _exchange(config, request, identity.public, wireguard.public)
    boundaries.write(config.boundary_file, boundary)
    fresh.save(enrolment)
    if fresh is not state:
        state.take_over(fresh)
    state.hand_over()
    return enrolment, identity


def choose_boundary(config: AgentConfig, request: Request, lans: Sequence[Lan], ask: Ask | None, say: Say) -> Boundary:
    """From the file given, from the detected networks once confirmed, or the one that is already there."""
    if request.boundary_file is not None:
        return _not_empty(boundaries.read(request.boundary_file, config.pools), str(request.boundary_file))
    if config.boundary_file.exists() and not request.replace:
        boundary = boundaries.read(config.boundary_file, config.pools)
        say(f"keeping the boundary in {config.boundary_file}: {', '.join(map(str, boundary.networks)) or 'nothing'}")
        return boundary
    proposed = [lan.network for lan in lans if lan.proposed]
    _show(lans, say)
    if request.yes:
        return _not_empty(Boundary.of(proposed), "the list of detected networks")
    if ask is None:
        raise InvalidInput(
            "the networks that may be reached through this gateway are not confirmed",
            hint="add --boundary FILE, or --yes to accept the proposed ones",
        )
    return _confirmed(proposed, config, ask, say)


def _show(lans: Sequence[Lan], say: Say) -> None:
    say("networks of this gateway (* proposed as reachable through it):")
    for lan in lans:
        say(f"  {'*' if lan.proposed else ' '} {lan}")
    if not lans:
        say("    none")


def _confirmed(proposed: Sequence[object], config: AgentConfig, ask: Ask, say: Say) -> Boundary:
    default = " ".join(map(str, proposed))
    while True:
        answer = ask(
            f"Networks to make reachable [{default or 'none'}] (Enter accepts, or type them, or 'no'): "
        ).strip()
        if answer.lower() in ("n", "no"):
            raise InvalidInput("nothing was enrolled, and the code was not used", hint="run the command again")
        if answer.lower() in ("", "y", "yes"):
            answer = default
        try:
            entries = answer.replace(",", " ").split()
            return _not_empty(boundaries.parse(entries, "the answer", config.pools), "the answer")
        except PlantgateError as error:
            say(str(error))


def _not_empty(boundary: Boundary, source: str) -> Boundary:
    if not boundary.networks:
        raise InvalidInput(
            f"{source} names no network, so nothing would be reachable through this gateway",
            hint="connect the LAN, or name its networks with --boundary FILE",
        )
    return boundary


def _exchange(config: AgentConfig, request: Request, identity_key: bytes, wireguard_key: str) -> Enrolment:
    nonce = os.urandom(32)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            enrolled = _post(config, request, identity_key, wireguard_key, nonce)
            break
        except (http.client.HTTPException, ConnectionError, ssl.SSLError, TimeoutError) as error:
            if attempt == ATTEMPTS or isinstance(error, ssl.SSLCertVerificationError | ConnectionRefusedError):
                raise unreachable(request.hub, error) from None
        except OSError as error:
            raise unreachable(request.hub, error) from None
    return Enrolment(request.hub, enrolled.agent_id, enrolled.epoch, enrolled.plant_name, enrolled.hub)


def _post(config: AgentConfig, request: Request, identity_key: bytes, wireguard_key: str, nonce: bytes) -> Enrolled:
    hub = request.hub
    connection = http.client.HTTPSConnection(
        hub.host, hub.port, timeout=TIMEOUT, context=client_context(config.ca_file)
    )
    try:
        connection.connect()
        seen = connection.sock.getpeercert(binary_form=True) or b""
        exchange = GatewayEnrolment(
            request.code, socket.gethostname(), identity_key, wireguard_key, certificate_sha256(seen), nonce
        )
        headers = {"Content-Type": CONTENT_TYPE, "Accept": CONTENT_TYPE}
        connection.request("POST", PATH, body=exchange.request, headers=headers)
        answer = connection.getresponse()
        body = answer.read(MAX_ANSWER)
    finally:
        connection.close()
    if answer.headers.get_content_type() != CONTENT_TYPE:
        if answer.status in (502, 503, 504):
            raise EnrolmentError(Reason.UNAVAILABLE, f"HTTP status {answer.status}")
        raise EnrolmentError(Reason.MALFORMED, f"HTTP status {answer.status} from {hub}")
    return exchange.finish(body)

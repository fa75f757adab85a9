"""How a session passes from the portal to a device host, pure.

1. A navigation to the device host without a session makes an *attempt*: a random verifier in a cookie of its own on
   that host, and its SHA-256, the challenge, in the address of the portal.
2. The portal checks session, second factor and permission and mints a *code*: once usable, 60 s long, bound to host,
   portal session (so: person) and challenge.
3. The device host's callback takes code and cookie. Only the browser that started the attempt has the verifier, so
   neither a forwarded link nor a planted code gives a session to anybody else.
"""

import hashlib
import hmac
import re
from collections import OrderedDict
from dataclasses import dataclass
from urllib.parse import quote

CODE_SECONDS = 60.0
ATTEMPT_SECONDS = 600
MAX_CODES = 10_000
MAX_PATH = 4096
CALLBACK_PREFIX = "/.plantgate/"
CALLBACK_PATH = "/.plantgate/return"

_ATTEMPT = re.compile(r"[0-9a-f]{8,32}")
_CHALLENGE = re.compile(r"[0-9a-f]{64}")
HOST = re.compile(r"[a-z0-9-]{1,63}")
_PATH = re.compile(r"/[\x21-\x7e]*")


def challenge_of(verifier: str) -> str:
    return hashlib.sha256(verifier.encode()).hexdigest()


def attempt_name(random_hex: str, now: float) -> str:
    """An attempt's name; sorts by age, so that a browser with too many loses the oldest."""
    return f"{int(now):08x}{random_hex[:8]}"


def is_attempt_name(text: str) -> bool:
    return _ATTEMPT.fullmatch(text) is not None


def safe_path(path: str) -> str:
    """`path` where it can be returned to as it is: absolute, printable ASCII, not too long; else the start page."""
    return path if len(path) <= MAX_PATH and _PATH.fullmatch(path) else "/"


@dataclass(frozen=True, slots=True)
class Request:
    """What the portal is asked for: its query, checked."""

    host: str
    attempt: str
    challenge: str
    path: str

    def portal_path(self) -> str:
        """Path and query of the portal's address that opens the page."""
        query = f"host={self.host}&attempt={self.attempt}&challenge={self.challenge}"
        return f"/open?{query}&path={quote(self.path, safe='')}"


def read_request(host: str, attempt: str, challenge: str, path: str) -> Request | None:
    """The portal's query as a Request; None when it is not one of ours."""
    host = host.lower()
    well_formed = HOST.fullmatch(host) and is_attempt_name(attempt) and _CHALLENGE.fullmatch(challenge)
    return Request(host, attempt, challenge, safe_path(path)) if well_formed else None


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a code stands for."""

    host: str
    session: str
    """Id of the portal session that asked for it."""
    challenge: str
    path: str
    expires: float


class Codes:
    """The codes that are out, found by their hash."""

    def __init__(self) -> None:
        self._tickets: OrderedDict[str, Ticket] = OrderedDict()

    def mint(self, code: str, request: Request, session: str, now: float) -> None:
        """Remember a code (256 random bits, text) for what it allows."""
        ticket = Ticket(request.host, session, request.challenge, request.path, now + CODE_SECONDS)
        self._tickets[challenge_of(code)] = ticket
        while len(self._tickets) > MAX_CODES or (self._tickets and next(iter(self._tickets.values())).expires <= now):
            self._tickets.popitem(last=False)

    def redeem(self, code: str, host: str, verifier: str, now: float) -> Ticket | None:
        """The ticket of a code that is presented rightly. It is used up in any case."""
        ticket = self._tickets.pop(challenge_of(code), None)
        if ticket is None or now >= ticket.expires or ticket.host != host or not verifier:
            return None
        return ticket if hmac.compare_digest(ticket.challenge, challenge_of(verifier)) else None

"""Server-side sessions, pure: who is signed in where, for how long, and what ends with what.

A *portal* session starts at sign-in. A *device* session is its child, bound to one device host; it lives only while
its parent does, so signing out ends all of them. The browser holds a random 256-bit token, the hub only its SHA-256.
Time and randomness are arguments.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from ..domain.model import PersonId


class SessionState(StrEnum):
    ACTIVE = "active"
    IDLE = "ended for lack of use"
    EXPIRED = "ended after the longest time a session may last"


@dataclass(frozen=True, slots=True)
class SessionPolicy:
    idle: float = 2 * 3600.0
    """Seconds without a request after which a session ends."""
    absolute: float = 12 * 3600.0
    """Seconds after sign-in at which a session ends in any case."""
    two_factor_fresh: float = 12 * 3600.0
    """Seconds for which a passed second factor allows to *open* device pages; open ones are not bound by it."""
    proof_fresh: float = 600.0
    """Seconds after the password (and code) was given for which sensitive acts on the account need no new proof."""


@dataclass(frozen=True, slots=True)
class Session:
    id: str
    """SHA-256 of the browser's token, hex: the key it is found by, worthless to a thief of the memory or a log."""
    person: PersonId
    created: float
    """When the person signed in; kept through rotation."""
    two_factor_at: float | None = None
    host: str = ""
    """The device host it is bound to; empty for the portal."""
    parent: str = ""
    proved_at: float | None = None
    """When the person last gave the password here, and the code where there is a second factor."""
    address: str = ""
    """Where the sign-in came from, to show to its owner."""
    browser: str = ""
    """What the browser calls itself (User-Agent), to show to its owner."""


def session_id(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def state_of(session: Session, last_seen: float, now: float, policy: SessionPolicy) -> SessionState:
    """Whether a portal session still holds."""
    if now >= session.created + policy.absolute:
        return SessionState.EXPIRED
    if now >= last_seen + policy.idle:
        return SessionState.IDLE
    return SessionState.ACTIVE


def two_factor_is_fresh(session: Session, now: float, policy: SessionPolicy) -> bool:
    return session.two_factor_at is not None and now < session.two_factor_at + policy.two_factor_fresh


def proof_is_fresh(session: Session, now: float, policy: SessionPolicy) -> bool:
    """Whether a sensitive act may go on, or the person has to prove anew who they are."""
    return session.proved_at is not None and now < session.proved_at + policy.proof_fresh


MAX_PER_PERSON = 50
MAX_CHILDREN = 500
"""Device sessions under one sign-in; the oldest ends first."""


class SessionBook:
    """All sessions of this node. `on_end` hears which sessions ended, so that open streams can end with them."""

    def __init__(self, policy: SessionPolicy, on_end: Callable[[frozenset[str]], None] | None = None) -> None:
        self.policy = policy
        self.on_end = on_end
        self._sessions: dict[str, Session] = {}
        self._last_seen: dict[str, float] = {}  # portal sessions only: a child's use is its parent's
        self._children: dict[str, OrderedDict[str, None]] = {}
        self._by_person: dict[PersonId, OrderedDict[str, None]] = {}

    def open(self, person: PersonId, token: str, now: float, address: str = "", browser: str = "") -> Session:
        """A new portal session after the password was given, second factor not yet passed."""
        session = Session(session_id(token), person, now, proved_at=now, address=address, browser=browser)
        self._add_portal(session, now)
        return session

    def rotate(self, old: Session, token: str, now: float, two_factor_at: float | None) -> Session:
        """The same sign-in under a new token, once the second factor was passed or the password changed: what was known
        of the old one is worthless, and its children end."""
        session = replace(old, id=session_id(token), two_factor_at=two_factor_at)
        self.end(old.id)
        self._add_portal(session, now)
        return session

    def refresh(self, session: Session, two_factor_at: float) -> Session | None:
        """The second factor was passed once more; None when the session has ended meanwhile."""
        if session.id not in self._sessions:
            return None
        refreshed = replace(session, two_factor_at=two_factor_at)
        self._sessions[session.id] = refreshed
        return refreshed

    def prove(self, session: Session, at: float) -> Session | None:
        """The person proved anew to be who signed in; None when the session has ended meanwhile."""
        current = self._sessions.get(session.id)
        if current is None:
            return None
        self._sessions[session.id] = proved = replace(current, proved_at=at)
        return proved

    def adopt(self, session: Session, last_seen: float) -> None:
        """Take up a session that another node or an earlier run made; a child's parent first."""
        if session.parent:
            self._add_child(session)
        else:
            self._add_portal(session, last_seen)

    def open_child(self, parent: Session, host: str, token: str) -> Session:
        """A device session for `host`, under a portal session."""
        child = Session(session_id(token), parent.person, parent.created, parent.two_factor_at, host, parent.id)
        self._add_child(child)
        return child

    def find(self, token: str, host: str, now: float, *, touch: bool = True) -> Session | None:
        """The live session of `token` on `host` (empty: the portal); using it (`touch`) keeps it awake."""
        if not token:
            return None
        session = self._sessions.get(session_id(token))
        if session is None or session.host != host:
            return None
        return session if self.touch(session.id, now, use=touch) else None

    def get(self, identifier: str) -> Session | None:
        """A session as it is, dead or alive, without touching it."""
        return self._sessions.get(identifier)

    def touch(self, identifier: str, now: float, *, use: bool = True) -> bool:
        """Whether the session lives; if so, it counts as used now (`use`), otherwise it has ended."""
        session = self._sessions.get(identifier)
        root = self._sessions.get(session.parent) if session is not None and session.parent else session
        if session is None or root is None:
            return False
        if state_of(root, self._last_seen[root.id], now, self.policy) is not SessionState.ACTIVE:
            self.end(root.id)
            return False
        if use:
            self._last_seen[root.id] = now
        return True

    def end(self, identifier: str) -> None:
        """End a session and its children; harmless when it has ended already."""
        session = self._sessions.get(identifier)
        if session is None:
            return
        ended = {identifier, *self._children.get(identifier, ())}
        for child in tuple(self._children.get(identifier, ())):
            del self._sessions[child]
        self._forget(identifier)
        if self.on_end is not None:
            self.on_end(frozenset(ended))

    def end_all(self) -> None:
        """End all sessions."""
        for person in tuple(self._by_person):
            self.end_person(person)

    def end_person(self, person: PersonId, keep: str = "") -> None:
        """End all sessions of a person, but for the one named."""
        for identifier in tuple(self._by_person.get(person, ())):
            if identifier != keep:
                self.end(identifier)

    def last_seen(self) -> dict[str, float]:
        """When each portal session was used last."""
        return dict(self._last_seen)

    def sweep(self, now: float) -> None:
        """End what has run out; keeps memory bounded by the people who are signed in."""
        for identifier, seen in tuple(self._last_seen.items()):
            session = self._sessions[identifier]
            if state_of(session, seen, now, self.policy) is not SessionState.ACTIVE:
                self.end(identifier)

    def __len__(self) -> int:
        return len(self._sessions)

    def _add_portal(self, session: Session, now: float) -> None:
        self._sessions[session.id] = session
        self._last_seen[session.id] = now
        self._children[session.id] = OrderedDict()
        own = self._by_person.setdefault(session.person, OrderedDict())
        own[session.id] = None
        if len(own) > MAX_PER_PERSON:
            self.end(next(iter(own)))

    def _add_child(self, child: Session) -> None:
        siblings = self._children[child.parent]
        siblings[child.id] = None
        self._sessions[child.id] = child
        if len(siblings) > MAX_CHILDREN:
            self.end(next(iter(siblings)))

    def _forget(self, identifier: str) -> None:
        session = self._sessions.pop(identifier)
        self._last_seen.pop(identifier, None)
        self._children.pop(identifier, None)
        if session.parent:
            self._children.get(session.parent, OrderedDict()).pop(identifier, None)
            return
        own = self._by_person[session.person]
        own.pop(identifier, None)
        if not own:
            del self._by_person[session.person]

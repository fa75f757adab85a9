"""Sessions in the store behind the sessions in memory, so that a restart of the hub signs nobody out.

Requests are answered from the `SessionBook`; the store is asked once for a token this node has not seen. What other
nodes or the application services end arrives with the feed of changes (`follow`). When the store is away, known
sessions go on, and what was ended here stays ended: it is kept in mind until the store has taken it.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import replace

from plantgate_shared.errors import PlantgateError

from ..domain.model import PersonId
from ..domain.snapshot import Change, Kind
from ..ports import Clock, SessionRecord, SessionRecords
from .sessions import Session, SessionBook, SessionState, proof_is_fresh, session_id, state_of

MAX_UNKNOWN = 4096
"""Tokens remembered as unknown, so that a browser with a dead cookie does not ask the store each time. An id is in the
store before its cookie is sent, so unknown once is unknown for ever."""


class SessionArchive:
    """The sessions of this node and their records in the store."""

    def __init__(self, records: SessionRecords, book: SessionBook, now: Clock) -> None:
        self.book = book
        self._records = records
        self._now = now
        self._unknown: OrderedDict[str, None] = OrderedDict()
        self._to_end: set[str] = set()
        self._written: dict[str, float] = {}
        self._endings = 0
        """How often something ended: what was read from the store before that may be over."""

    async def find(self, token: str, host: str, *, touch: bool = True) -> Session | None:
        """The live session of `token` on `host` (empty: the portal); using it (`touch`) keeps it awake."""
        now = self._now()
        session = self.book.find(token, host, now, touch=touch)
        if session is not None or not token:
            return session
        identifier = session_id(token)
        if identifier in self._unknown or self.book.get(identifier) is not None:
            return None
        try:
            await self._restore(identifier, now)
        except PlantgateError:  # the store is away: not signed in for this request
            return None
        return self.book.find(token, host, now, touch=touch)

    async def added(self, session: Session) -> Session:
        """Record a session of the book; it ends again when the store does not take it. Raises StoreUnavailable."""
        try:
            await self._records.add(self._record(session))
        except BaseException:
            self.book.end(session.id)
            raise
        return session

    async def refreshed(self, session: Session, at: float) -> Session | None:
        """The second factor was passed once more; None when the session has ended meanwhile."""
        if await self._records.pass_two_factor(session.id, at):
            return self.book.refresh(session, at)
        self.book.end(session.id)
        return None

    async def proved(self, session: Session, at: float) -> Session | None:
        """The person proved anew to be who signed in; None when the session has ended meanwhile."""
        if await self._records.prove(session.id, at):
            return self.book.prove(session, at)
        self.book.end(session.id)
        return None

    def is_proved(self, session: Session) -> bool:
        """Whether a sensitive act may go on, or the person has to prove anew who they are."""
        return proof_is_fresh(session, self._now(), self.book.policy)

    async def of_person(self, person: PersonId) -> tuple[SessionRecord, ...]:
        """The person's sign-ins on all nodes, oldest first; when they were used last is exact for those of this node,
        and a minute old for others. Raises StoreUnavailable."""
        seen, now, policy = self.book.last_seen(), self._now(), self.book.policy
        records = [record for record in await self._records.of_person(person, now) if not record.parent]
        current = (replace(one, last_seen=max(one.last_seen, seen.get(one.id, 0.0))) for one in records)
        return tuple(
            one for one in current if state_of(_session(one), one.last_seen, now, policy) is SessionState.ACTIVE
        )

    async def is_recorded(self, identifier: str) -> bool:
        """Whether the store still has the session: a change that has yet to reach this node may have ended it."""
        return await self._records.find(identifier, self._now()) is not None

    async def end(self, identifier: str) -> None:
        """End a session and its children, here at once and in the store as soon as it is there."""
        self._endings += 1
        self.book.end(identifier)
        self._to_end.add(identifier)
        await self._end_in_store()

    async def end_others(self, person: PersonId, keep: str) -> None:
        """End all sessions of a person but one and its children. Raises StoreUnavailable."""
        self._endings += 1
        self.book.end_person(person, keep=keep)
        for record in await self._records.of_person(person, self._now()):
            if keep not in (record.id, record.parent):
                await self._records.end(record.id)

    def follow(self, changes: Iterable[Change]) -> None:
        """What ended elsewhere, as the feed tells it."""
        for change in changes:
            if change.kind is Kind.SESSION or change.value is None:
                self._endings += 1
            if change.kind is Kind.PERSON and change.value is None:
                self.book.end_person(PersonId(change.key[0]))
            if change.kind is not Kind.SESSION:
                continue
            if change.key[0] == "person":
                self.book.end_person(PersonId(change.key[1]))
            elif change.key[0] == "*":  # history was lost: whoever is still signed in is found in the store again
                self.book.end_all()
            else:
                self.book.end(change.key[0])

    async def tidy(self) -> None:
        """Every now and then: forget what ran out, write back who was seen. Nothing is lost when the store is away."""
        now = self._now()
        self.book.sweep(now)
        await self._end_in_store()
        seen = self.book.last_seen()
        self._written = {id: at for id, at in self._written.items() if id in seen}
        try:
            for identifier, at in seen.items():
                if self._written.get(identifier) != at:
                    await self._records.touch(identifier, at)
                    self._written[identifier] = at
            await self._records.sweep(now)
        except PlantgateError:
            return

    async def _end_in_store(self) -> None:
        for identifier in tuple(self._to_end):
            try:
                await asyncio.shield(self._records.end(identifier))
            except PlantgateError:
                return
            self._to_end.discard(identifier)

    async def _restore(self, identifier: str, now: float) -> None:
        while True:
            endings = self._endings
            record = await self._records.find(identifier, now)
            parent = await self._records.find(record.parent, now) if record and record.parent else record
            if record is None or parent is None or endings == self._endings:
                break  # otherwise it may be among what has ended since it was read
        if record is None or parent is None or {record.id, parent.id} & self._to_end:
            self._unknown[identifier] = None
            if len(self._unknown) > MAX_UNKNOWN:
                self._unknown.popitem(last=False)
            return
        root = _session(parent)
        if state_of(root, parent.last_seen, now, self.book.policy) is not SessionState.ACTIVE:
            return
        if self.book.get(root.id) is None:
            self.book.adopt(root, parent.last_seen)
        if record is not parent and self.book.get(record.id) is None:
            self.book.adopt(_session(record), record.last_seen)

    def _record(self, session: Session) -> SessionRecord:
        expires = session.created + self.book.policy.absolute
        return SessionRecord(
            id=session.id,
            person=session.person,
            created=session.created,
            last_seen=self._now(),
            expires=expires,
            two_factor_at=session.two_factor_at,
            host=session.host,
            parent=session.parent,
            proved_at=session.proved_at,
            address=session.address,
            browser=session.browser,
        )


def _session(record: SessionRecord) -> Session:
    return Session(
        id=record.id,
        person=record.person,
        created=record.created,
        two_factor_at=record.two_factor_at,
        host=record.host,
        parent=record.parent,
        proved_at=record.proved_at,
        address=record.address,
        browser=record.browser,
    )

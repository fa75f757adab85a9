"""One request as an operation sees it: who calls, what they may see, and the services that act in their name."""

from collections.abc import Awaitable, Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Protocol

from ..connected import Connected
from ..diagnosis import Diagnosis
from ..domain.clients import ClientSettings
from ..domain.model import AgentId
from ..domain.snapshot import Snapshot
from ..services import Actor, Services, View
from .authentication import Browser, Caller, Tokens
from .etag import Condition
from .operation import Operation
from .problems import ApiProblem, Problem


class Source(Protocol):
    """What keeps this node's snapshot current (`store.SnapshotFeed`)."""

    @property
    def snapshot(self) -> Snapshot: ...

    async def reaches(self, revision: int, timeout: float = ...) -> Snapshot:
        """The snapshot once it is of `revision` or later. Raises TimeoutError."""


@dataclass(frozen=True, slots=True)
class ApiParts:
    """What the API works with."""

    services: Services
    source: Source
    online: Callable[[], AbstractSet[AgentId]]
    """Agents whose tunnel is up."""
    client_settings: Callable[[], Awaitable[ClientSettings]]
    """What is the same in every WireGuard client's file."""
    tokens: Tokens | None = None
    """API tokens; without them only browsers that are signed in may call."""
    diagnosis: Diagnosis | None = None
    """Without it nobody is told why a device is not reached."""
    connected: Connected | None = None
    """Who is connected to which plant through this node; without it nobody is."""

    @property
    def snapshot(self) -> Snapshot:
        return self.source.snapshot


class Call:
    """`view` shows this node's snapshot; once the operation has changed something, the state it led to.

    As the witness of the operation's change it holds the request's condition against the state that the change is
    made on, within its transaction: of two that saw the same state, one wins.
    """

    def __init__(
        self,
        parts: ApiParts,
        caller: Caller,
        operation: Operation,
        values: Mapping[str, Any],
        condition: Condition | None = None,
    ) -> None:
        self.caller = caller
        self.parts = parts
        self.services = parts.services.witnessed_by(self)
        self.changed_to: int | None = None
        """Revision of the state that the operation led to; None while it has changed nothing."""
        self._operation = operation
        self._values = values
        self._condition = condition
        self._snapshot = parts.source.snapshot

    @property
    def actor(self) -> Actor:
        return self.caller.actor

    @property
    def view(self) -> View:
        return View(self._snapshot, self.actor, self.now)

    @property
    def snapshot(self) -> Snapshot:
        return self._snapshot

    @property
    def browser(self) -> Browser:
        """The caller's session. Raises ApiProblem for a token."""
        if self.caller.browser is None:
            raise ApiProblem(Problem.SCOPE, "no token may do this", hint="do it in the portal, signed in")
        return self.caller.browser

    @property
    def diagnosis(self) -> Diagnosis:
        """Raises ApiProblem where this node has none."""
        if self.parts.diagnosis is None:
            raise ApiProblem(Problem.UNAVAILABLE)
        return self.parts.diagnosis

    def ask_for_proof(self) -> None:
        """As in the portal, sensitive acts want the password anew of who signed in a while ago. Tokens were made with
        such a proof. Raises ApiProblem."""
        if self.caller.browser is not None and not self.caller.browser.proved:
            raise ApiProblem(
                Problem.PROOF,
                "you gave your password too long ago for this",
                hint="give it again in the portal, at /account/confirm",
            )

    @property
    def now(self) -> float:
        return self.parts.services.context.now()

    def before(self, snapshot: Snapshot) -> None:
        """Refuses what the caller may not see (as not there) and what is not as they saw it. Raises PlantgateError."""
        resource = self._operation.resource
        if resource is None:
            return
        self._snapshot = snapshot
        condition = self._condition or Condition()
        condition.hold(resource.call(self, self._values))

    def after(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self.changed_to = snapshot.revision

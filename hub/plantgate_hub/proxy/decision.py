"""What may happen with one request to a device host, pure: whose page sends it, and may this person open the page."""

from dataclasses import dataclass
from enum import StrEnum

from ..domain.model import Person
from ..domain.policy import Denial
from ..freshness import Freshness
from ..identity.sessions import Session
from ..ports import Access, Destination


@dataclass(frozen=True, slots=True)
class Asked:
    """What decides about a request, as its headers say it; names as in the Fetch Metadata and Fetch standards."""

    method: str
    websocket: bool = False
    site: str = ""
    """Sec-Fetch-Site."""
    mode: str = ""
    """Sec-Fetch-Mode."""
    dest: str = ""
    """Sec-Fetch-Dest."""
    origin: str = ""
    accept: str = ""
    requested_with: str = ""
    """X-Requested-With: set by scripts."""


def is_navigation(asked: Asked) -> bool:
    """Whether a person looks at the answer in a tab of its own; only such requests may be sent to the portal."""
    if asked.method not in ("GET", "HEAD") or asked.websocket:
        return False
    if asked.mode:
        return asked.mode == "navigate" and asked.dest in ("document", "")
    return "text/html" in asked.accept.lower() and not asked.requested_with


def wants_page(asked: Asked) -> bool:
    """Whether an error is better shown as a page than as one line of text."""
    return not asked.websocket and (
        asked.mode == "navigate" or (not asked.mode and "text/html" in asked.accept.lower())
    )


def comes_from_own_page(asked: Asked, own_origin: str) -> bool:
    """Whether the request is the page's own doing, or the plain following of a link to it.

    SameSite does not protect sibling device hosts from each other, so this does: the Fetch Metadata headers, and where
    a browser sends none, Origin. A websocket must always name its own host.
    """
    if asked.websocket:
        return asked.origin.lower() == own_origin and asked.site in ("", "same-origin")
    if asked.site in ("same-site", "cross-site"):
        return asked.method in ("GET", "HEAD") and asked.mode == "navigate" and asked.dest == "document"
    if asked.site:
        return asked.site in ("same-origin", "none")
    return not asked.origin or asked.origin.lower() == own_origin


class Verdict(StrEnum):
    ALLOWED = "allowed"
    NOT_AVAILABLE = "not available"
    """No such page, or none this person may know of: the two must look alike."""
    NO_PERMISSION = "no permission"
    NO_TWO_FACTOR = "no two-factor"
    ON_HOLD = "on hold"
    NO_PURPOSE = "no purpose"
    STORE_AWAY = "store away"
    """What is known is too old to decide by."""


_REFUSALS: dict[Denial, Verdict] = {
    Denial.ON_HOLD: Verdict.ON_HOLD,
    Denial.NO_TWO_FACTOR: Verdict.NO_TWO_FACTOR,
    Denial.NO_PURPOSE: Verdict.NO_PURPOSE,
}
"""What a person whose job is high enough is told; every other refusal is about the job."""


def permit(
    access: Access, person: Person | None, session: Session, destination: Destination | None, now: float
) -> Verdict:
    """Whether the person may open the page. The second factor must be set up *and* passed, whatever the role."""
    if access.freshness() is Freshness.EXPIRED:
        return Verdict.STORE_AWAY
    if person is None or destination is None:
        return Verdict.NOT_AVAILABLE
    plant = destination.plant.id
    refusal = access.refusal(person.id, plant, now)
    if refusal is not None and refusal not in _REFUSALS:
        return Verdict.NO_PERMISSION if access.sees_plant(person.id, plant, now) else Verdict.NOT_AVAILABLE
    if refusal is Denial.ON_HOLD:
        return Verdict.ON_HOLD
    if not person.totp_active or session.two_factor_at is None:
        return Verdict.NO_TWO_FACTOR
    return _REFUSALS[refusal] if refusal is not None else Verdict.ALLOWED

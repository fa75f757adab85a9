"""The one table of who may do what, written by hand: tests hold policy and services to it.

Each action has two rows of marks, one a kind of person: `x` may, `2` may with a second factor, `.` may not.
"""

from collections.abc import Iterator

from plantgate_hub.domain.model import Cooperation, CooperationId, Job, OrganizationId, OrgRole, PlantId
from plantgate_hub.domain.policy import Action
from plantgate_hub.domain.snapshot import Entity
from tests import worlds

SHARED = CooperationId("shared")

OWN = (  # people of the plant's organization, by what alone they have there
    "guest",
    "member",
    "viewer",
    "asset manager (commercial)",
    "asset manager (technical)",
    "technical manager",
    "operator",
    "guest with an organization-wide job",
    "technical manager organization-wide",
    "moderator",
    "administrator",
)
OTHERS = (  # everybody else: invited by a cooperation at that job, or not
    "invited viewer",
    "invited asset manager (commercial)",
    "invited asset manager (technical)",
    "invited technical manager",
    "invited operator",
    "partner's administrator, not invited",
    "administrator of another organization",
    "cloud operator",
)
KINDS = (*OWN, *OTHERS)

# fmt: off
#                              own people                others
#                              g m v c t T O  gw w m a   v c t T O  p o c
_MATRIX: dict[Action, str] = {
    Action.SEE_PLANT:           ". . x x x x x  .  x x x   x x x x x  . . .",
    Action.SEE_DEVICES:         ". . . x x x x  .  x x x   . x x x x  . . .",
    Action.SEE_USAGE:           ". . . x x x x  .  x x x   . x x x x  . . .",
    Action.SEE_NETWORK:         ". . . . x x x  .  x x x   . . x x x  . . .",
    Action.SEE_CONNECTIONS:     ". . . . . x x  .  x x x   . . . x x  . . .",
    Action.READ_AUDIT:          ". . . . . x x  .  x x x   . . . x x  . . .",
    Action.USE_VPN:             ". . . . . . x  .  . x x   . . . . x  . . .",
    Action.OPEN_DEVICE:         ". . . . . 2 2  .  2 2 2   . . . 2 2  . . .",
    Action.CHECK_CONNECTION:    ". . . . . 2 2  .  2 2 2   . . . 2 2  . . .",
    Action.DECLARE_PURPOSE:     ". . . . . x x  .  x x x   . . . x x  . . .",
    Action.USE_CREDENTIALS:     ". . . . . 2 2  .  2 2 2   . . . 2 2  . . .",
    Action.CONFIGURE_PLANT:     ". . . . . x x  .  x x x   . . . x x  . . .",
    Action.ENROL_GATEWAY:       ". . . . . x x  .  x x x   . . . x x  . . .",
    Action.END_ACCESS:          ". . . . . . x  .  . x x   . . . . .  . . .",
    Action.RESTORE_ACCESS:      ". . . . . . .  .  . x x   . . . . .  . . .",
    Action.SEE_ORGANIZATION:    "x x x x x x x  x  x x x   . . . . .  . . .",
    Action.SEE_CONTACTS:        ". x x x x x x  .  x x x   . . . . .  . . .",
    Action.MANAGE_SERVICES:     ". . . . . . .  .  x x x   . . . . .  . . .",
    Action.MANAGE_PLANTS:       ". . . . . . .  .  . x x   . . . . .  . . .",
    Action.MANAGE_MEMBERS:      ". . . . . . .  .  . x x   . . . . .  . . .",
    Action.MANAGE_COOPERATIONS: ". . . . . . .  .  . x x   . . . . .  . . .",
    Action.MANAGE_ORGANIZATION: ". . . . . . .  .  . . x   . . . . .  . . .",
    Action.MANAGE_ACCOUNT:      "x x x x x x x  x  x x x   x x x x x  x x x",
    Action.SEE_OWN_HISTORY:     "x x x x x x x  x  x x x   x x x x x  x x x",
    Action.RUN_PLATFORM:        ". . . . . . .  .  . . .   . . . . .  . . x",
}
# fmt: on

MATRIX: dict[Action, dict[str, str]] = {
    action: dict(zip(KINDS, marks.split(), strict=True)) for action, marks in _MATRIX.items()
}

_JOBS = {
    "viewer": Job.VIEWER,
    "asset manager (commercial)": Job.ASSET_MANAGER_COMMERCIAL,
    "asset manager (technical)": Job.ASSET_MANAGER_TECHNICAL,
    "technical manager": Job.TECHNICAL_MANAGER,
    "operator": Job.OPERATOR,
}
_ROLES = {
    "guest": (OrgRole.GUEST, None),
    "member": (OrgRole.MEMBER, None),
    "guest with an organization-wide job": (OrgRole.GUEST, Job.TECHNICAL_MANAGER),
    "technical manager organization-wide": (OrgRole.MEMBER, Job.TECHNICAL_MANAGER),
    "moderator": (OrgRole.MODERATOR, None),
    "administrator": (OrgRole.ADMINISTRATOR, None),
}


def rows_of(kind: str, who: str, owner: str, plant: str, partner: str, other: str) -> Iterator[Entity]:
    """What makes `who` a person of that kind. The partner has an accepted cooperation of the highest cap, `SHARED`."""
    if kind in _ROLES:
        yield worlds.member(who, owner, *_ROLES[kind])
    elif kind in _JOBS:
        yield worlds.member(who, owner)
        yield worlds.grant(who, plant, _JOBS[kind])
    elif kind.startswith("invited "):
        yield worlds.member(who, partner)
        yield worlds.grant(who, plant, _JOBS[kind.removeprefix("invited ")], cooperation=SHARED)
    elif kind == "partner's administrator, not invited":
        yield worlds.member(who, partner, OrgRole.ADMINISTRATOR)
    elif kind == "administrator of another organization":
        yield worlds.member(who, other, OrgRole.ADMINISTRATOR)
    else:
        assert kind == "cloud operator", kind
        yield worlds.person(who, totp_active=True, cloud_operator=True)


def cooperation(plant: str, partner: str) -> Cooperation:
    return Cooperation(SHARED, PlantId(plant), OrganizationId(partner), Job.OPERATOR, accepted=True)

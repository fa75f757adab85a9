"""Keeps docs/permissions.md in step: `python -m plantgate_hub.domain.permissions_page docs/permissions.md`.

The tables are not drawn from the rules but asked of `policy` itself: one person of each kind in a small world, and what
is decided about them. So they show what the hub does, and a rule that decides otherwise than it reads would show too.
"""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from plantgate_shared.generated import renew

from .model import (
    ConnectionPolicy,
    Cooperation,
    CooperationId,
    Grant,
    Hold,
    HoldScope,
    Job,
    Membership,
    Organization,
    OrganizationId,
    OrgRole,
    Person,
    PersonId,
    Plant,
    PlantId,
)
from .policy import (
    RULES,
    Action,
    Allowed,
    Decision,
    Denial,
    Denied,
    Scope,
    decide,
    decide_on_account,
    decide_on_platform,
    job_of,
)
from .snapshot import Entity, Snapshot, put

_NOW = 0.0
_OWNER, _PARTNER, _PLANT = OrganizationId("owner"), OrganizationId("partner"), PlantId("plant")
_SHARED = CooperationId("shared")
_WHO = PersonId("who")

JOB_NAMES: dict[Job, str] = {
    Job.VIEWER: "Viewer",
    Job.ASSET_MANAGER_COMMERCIAL: "Asset Manager (Commercial)",
    Job.ASSET_MANAGER_TECHNICAL: "Asset Manager (Technical)",
    Job.TECHNICAL_MANAGER: "Technical Manager",
    Job.OPERATOR: "Operator",
}


def _world(*rows: Entity, totp: bool = True, cloud_operator: bool = False) -> Snapshot:
    return Snapshot.of(
        [
            Organization(_OWNER, "owner"),
            Organization(_PARTNER, "partner"),
            Plant(_PLANT, _OWNER, "plant"),
            Person(_WHO, "who@example.com", "who", totp, cloud_operator),
            *rows,
        ]
    )


def _member(role: OrgRole = OrgRole.MEMBER, job: Job | None = None) -> Membership:
    return Membership(_WHO, _OWNER, role, job)


def _by_grant(job: Job) -> Snapshot:
    return _world(_member(), Grant(_WHO, _PLANT, job))


def _by_cooperation(cap: Job, invited: Job | None = Job.OPERATOR, role: OrgRole = OrgRole.MEMBER) -> Snapshot:
    """Somebody of the partner, in that role there; invited to that job, or not at all."""
    cooperation = Cooperation(_SHARED, _PLANT, _PARTNER, cap, accepted=True)
    invitations = [Grant(_WHO, _PLANT, invited, _SHARED)] if invited is not None else []
    return _world(Membership(_WHO, _PARTNER, role, Job.TECHNICAL_MANAGER), cooperation, *invitations)


def _job(snapshot: Snapshot) -> str:
    found = job_of(snapshot, _WHO, _PLANT, _NOW).job
    return JOB_NAMES[found] if found is not None else "none"


KINDS: dict[str, Snapshot] = {
    "Guest": _world(_member(OrgRole.GUEST)),
    "Member": _world(_member()),
    **{name: _by_grant(job) for job, name in JOB_NAMES.items()},
    "Technical Manager, organization-wide": _world(_member(job=Job.TECHNICAL_MANAGER)),
    "Moderator": _world(_member(OrgRole.MODERATOR)),
    "Administrator": _world(_member(OrgRole.ADMINISTRATOR)),
    "Cloud operator": _world(cloud_operator=True),
}
"""A world for each kind of person: what they have there is nothing but this."""


def _decision(snapshot: Snapshot, action: Action) -> Decision:
    match RULES[action].scope:
        case Scope.ACCOUNT:
            return decide_on_account(snapshot, _WHO, action, _WHO)
        case Scope.PLATFORM:
            return decide_on_platform(snapshot, _WHO, action)
    return decide(snapshot, _WHO, action, _PLANT, _NOW)


def _mark(snapshot: Snapshot, action: Action) -> str:
    decision = _decision(snapshot, action)
    if isinstance(decision, Denied):
        return "–"
    return "two-factor" if decision.two_factor else "yes"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def actions() -> str:
    """Every action, and whether each kind of person may do it."""
    parts = []
    for scope, title in (
        (Scope.PLANT, "On a plant"),
        (Scope.ORGANIZATION, "In the plant's organization"),
        (Scope.ACCOUNT, "With one's own account"),
        (Scope.PLATFORM, "On the platform"),
    ):
        chosen = [action for action, rule in RULES.items() if rule.scope is scope]
        rows = [[str(action), *(_mark(world, action) for world in KINDS.values())] for action in chosen]
        parts.append(f"**{title}**\n\n{_table(['action', *KINDS], rows)}")
    return "\n\n".join(parts)


def sees() -> str:
    """What each kind of person may do beyond those before it, in words."""
    lines = []
    ladder = ["Guest", "Member", *JOB_NAMES.values()]
    before: set[Action] = set()
    for name in ladder:
        may = {action for action in Action if _mark(KINDS[name], action) != "–"}
        new = [str(action) for action in Action if action in may - before]
        lines.append(f"- **{name}**: {'; '.join(new)}.")
        before |= may
    return "\n".join(lines)


def jobs() -> str:
    """Where a job on a plant comes from."""
    rows = [
        [
            str(role).capitalize(),
            _job(_world(_member(role))),
            _job(_world(_member(role, Job.OPERATOR))),
            _job(_world(_member(role), Grant(_WHO, _PLANT, Job.OPERATOR))),
            _job(_by_cooperation(Job.OPERATOR, Job.OPERATOR, role)),
            _job(_by_cooperation(Job.OPERATOR, None, role)),
        ]
        for role in reversed(OrgRole)
    ]
    head = [
        "role",
        "on the own plants, by the role alone",
        "highest with an organization-wide job",
        "highest with a grant on the plant",
        "highest on a shared plant, by invitation",
        "on a shared plant, without one",
    ]
    return _table(head, rows)


def caps() -> str:
    """What an invitation gives at each cap of its cooperation, whatever job it names."""
    rows = [[name, *(_job(_by_cooperation(cap, invited)) for invited in Job)] for cap, name in JOB_NAMES.items()]
    return _table(["cap", *(f"invited as {name}" for name in JOB_NAMES.values())], rows)


def conditions() -> str:
    """What an Operator is still refused: under holds, without a second factor, without a declared purpose."""
    own, external = _by_grant(Job.OPERATOR), _by_cooperation(Job.OPERATOR)
    required = [put(ConnectionPolicy(_OWNER, purpose_required=True))]
    no_totp = [put(Person(_WHO, "who@example.com", "who"))]
    stops = {scope: [put(Hold(_PLANT, scope, _NOW, "somebody"))] for scope in HoldScope}
    columns = {
        "own": own,
        "by cooperation": external,
        "hold on external people: own": own.apply(stops[HoldScope.EXTERNAL]),
        "hold on external people: by cooperation": external.apply(stops[HoldScope.EXTERNAL]),
        "hold on everyone: own": own.apply(stops[HoldScope.EVERYONE]),
        "hold on everyone: by cooperation": external.apply(stops[HoldScope.EVERYONE]),
        "no two-factor on the account": own.apply(no_totp),
        "a reason is required, none declared": own.apply(required),
    }
    chosen = [action for action, rule in RULES.items() if rule.scope is Scope.PLANT]
    rows = [[str(action), *(_refusal(world, action) for world in columns.values())] for action in chosen]
    return _table(["as Operator", *columns], rows)


_SHORT = {
    Denial.ON_HOLD: "on hold",
    Denial.NO_TWO_FACTOR: "refused",
    Denial.NO_PURPOSE: "refused",
    Denial.NOT_OWN: "–",
}


def _refusal(snapshot: Snapshot, action: Action) -> str:
    decision = _decision(snapshot, action)
    return "yes" if isinstance(decision, Allowed) else _SHORT[decision.reason]


SECTIONS = {
    "policy.job_of": jobs,
    "policy.job_of, cooperations": caps,
    "policy.decide": actions,
    "policy.decide, step by step": sees,
    "policy.decide, conditions": conditions,
}


def render(page: str) -> str:
    """The page with its generated parts renewed. Raises ValueError when a mark is missing."""
    return renew(page, SECTIONS)


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(render(path.read_text(encoding="utf-8")), encoding="utf-8")

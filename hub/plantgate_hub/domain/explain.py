"""Why a person may or may not do something on a plant: the answer, everything it was made from, and who can change it.

The answer is `policy.decide`'s own. Beside it stands every row that gives a job or could have given one, each with what
keeps it from counting, so that 'no' can be followed to the step that is missing. People are never named: only roles.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from .model import (
    CooperationId,
    Grant,
    Hold,
    Job,
    Membership,
    OrganizationId,
    OrgRole,
    PersonId,
    Plant,
    PlantId,
    Purpose,
)
from .policy import (
    INHERITING_ROLES,
    ORGANIZATION_WIDE_LIMIT,
    RULES,
    Action,
    Allowed,
    Decision,
    Denial,
    Denied,
    Scope,
    Source,
    decide,
    is_live,
    organization_job,
)
from .snapshot import Snapshot


class Obstacle(StrEnum):
    """Why a row does not count."""

    NOT_STARTED = "it has not begun yet"
    ENDED = "it has ended"
    NOT_ACCEPTED = "the partner has not accepted the cooperation"
    COOPERATION_ENDED = "the cooperation has ended"
    NO_MEMBERSHIP = "the person is no member of the organization"
    GUEST = "guests have no job on all plants"


@dataclass(frozen=True, slots=True)
class Ground:
    """One row that gives the person a job on the plant, or would but for its obstacle."""

    source: Source
    job: Job
    """What the row says."""
    gives: Job | None
    """What counts after every cap; None: nothing."""
    organization: OrganizationId
    """Through which organization: the plant's, or the cooperation's partner."""
    role: OrgRole | None = None
    """The role in that organization (sources role and organization-wide job)."""
    cooperation: CooperationId | None = None
    cap: Job | None = None
    """The cooperation's."""
    starts: float | None = None
    ends: float | None = None
    """The earlier of the row's own end and the cooperation's."""
    reason: str = ""
    obstacle: Obstacle | None = None


class Who(StrEnum):
    """Who can do something about it."""

    THE_PERSON = "the person"
    OWNERS = "a Moderator or Administrator of the plant's organization"
    OWNER_ADMINISTRATORS = "an Administrator of the plant's organization"
    PARTNERS = "a Moderator or Administrator of the partner organization"
    EITHER_SIDE = "a Moderator or Administrator of either organization"
    TIME = "nobody needs to: it begins by itself"


class Remedy(StrEnum):
    """What would help."""

    GRANT = "grant the job on the plant"
    JOIN = "make the person a member of the plant's organization, or share the plant by a cooperation"
    INVITE = "invite the person to the plant with the job"
    RAISE_CAP = "raise the cooperation's cap to the job"
    ACCEPT = "accept the cooperation"
    WAIT = "wait for the begin"
    LIFT_HOLD = "lift the hold"
    DECLARE_PURPOSE = "declare a reason for connecting"
    SET_UP_TWO_FACTOR = "set up two-factor authentication"
    CHANGE_ROLE = "give the person a role in the organization that allows it"


@dataclass(frozen=True, slots=True)
class Way:
    """One way to another answer."""

    who: Who
    remedy: Remedy
    job: Job | None = None
    """The job that is needed, where it is about one."""


@dataclass(frozen=True, slots=True)
class Explanation:
    person: PersonId
    plant: PlantId
    action: Action
    allowed: bool
    denial: Denial | None
    job: Job | None
    """The person's job on the plant."""
    needs: Job | None
    """The lowest job for the action, if it is one on a plant."""
    two_factor: bool
    """The session must have passed a second factor as well."""
    grounds: tuple[Ground, ...]
    """What counts comes first, the highest job before the others."""
    holds: tuple[Hold, ...] = ()
    purpose: Purpose | None = None
    """What the person declared last, where the plant's organization asks for it."""
    changes_at: float | None = None
    """When the answer turns by itself, if nothing else happens."""
    ways: tuple[Way, ...] = ()
    """What would turn a 'no', nearest first."""


def explain(snapshot: Snapshot, person: PersonId, action: Action, plant: PlantId, now: float) -> Explanation:
    """Why the person may or may not do `action`, one on a plant or on its organization, at `now`."""
    decision = decide(snapshot, person, action, plant, now)
    rule = RULES[action]
    place = snapshot.plants.get(plant)
    grounds = sorted(_grounds(snapshot, person, place, now), key=_rank) if place else []
    job = max((ground.gives for ground in grounds if ground.gives is not None), default=None)
    return Explanation(
        person,
        plant,
        action,
        isinstance(decision, Allowed),
        decision.reason if isinstance(decision, Denied) else None,
        job,
        rule.job,
        rule.two_factor,
        tuple(grounds),
        tuple(sorted(snapshot.holds_on(plant), key=lambda hold: hold.scope)),
        _purpose(snapshot, person, place) if rule.purpose else None,
        _changes_at(snapshot, person, action, plant, now, decision),
        tuple(_ways(snapshot, person, place, action, grounds, decision, now)) if place else (),
    )


def _rank(ground: Ground) -> tuple[int, int, str, str]:
    return -(ground.gives or 0), -ground.job, ground.source, ground.cooperation or ""


def _grounds(snapshot: Snapshot, person: PersonId, plant: Plant, now: float) -> Iterator[Ground]:
    membership = snapshot.memberships.get(person, plant.organization)
    if membership is not None:
        yield from _grounds_of_membership(membership)
    for grant in snapshot.grants_between(person, plant.id):
        if grant.cooperation is not None:
            yield _invitation(snapshot, grant, plant, now)
        else:
            obstacle = Obstacle.NO_MEMBERSHIP if membership is None else _time_obstacle(grant.starts, grant.ends, now)
            gives = None if obstacle else grant.job
            times = (grant.starts, grant.ends)
            yield Ground(
                Source.GRANT, grant.job, gives, plant.organization, None, None, None, *times, grant.reason, obstacle
            )


def _grounds_of_membership(membership: Membership) -> Iterator[Ground]:
    where, role = membership.organization, membership.role
    if role in INHERITING_ROLES:
        yield Ground(Source.ROLE, Job.OPERATOR, Job.OPERATOR, where, role)
    if membership.job is not None:
        gives = organization_job(membership)
        obstacle = Obstacle.GUEST if gives is None else None
        yield Ground(
            Source.ORGANIZATION_JOB,
            membership.job,
            gives,
            where,
            role,
            cap=ORGANIZATION_WIDE_LIMIT,
            obstacle=obstacle,
        )


def _invitation(snapshot: Snapshot, grant: Grant, plant: Plant, now: float) -> Ground:
    cooperation = snapshot.cooperations.get(grant.cooperation or "")
    if cooperation is None or cooperation.plant != plant.id:
        ended = Obstacle.COOPERATION_ENDED
        return Ground(Source.INVITATION, grant.job, None, plant.organization, obstacle=ended)
    ends = min((end for end in (grant.ends, cooperation.ends) if end is not None), default=None)
    obstacle: Obstacle | None
    if not is_live(None, cooperation.ends, now):
        obstacle = Obstacle.COOPERATION_ENDED
    elif not cooperation.accepted:
        obstacle = Obstacle.NOT_ACCEPTED
    elif snapshot.memberships.get(grant.person, cooperation.partner) is None:
        obstacle = Obstacle.NO_MEMBERSHIP
    else:
        obstacle = _time_obstacle(grant.starts, grant.ends, now)
    return Ground(
        Source.INVITATION,
        grant.job,
        None if obstacle else min(grant.job, cooperation.cap),
        cooperation.partner,
        None,
        cooperation.id,
        cooperation.cap,
        grant.starts,
        ends,
        grant.reason or cooperation.reason,
        obstacle,
    )


def _time_obstacle(starts: float | None, ends: float | None, now: float) -> Obstacle | None:
    if ends is not None and ends <= now:
        return Obstacle.ENDED
    return Obstacle.NOT_STARTED if starts is not None and now < starts else None


def _purpose(snapshot: Snapshot, person: PersonId, plant: Plant | None) -> Purpose | None:
    if plant is None or not snapshot.connection_policy_of(plant.organization).purpose_required:
        return None
    return snapshot.purposes.get(person, plant.id)


def _changes_at(
    snapshot: Snapshot, person: PersonId, action: Action, plant: PlantId, now: float, decision: Decision
) -> float | None:
    moments = [moment for grant in snapshot.grants_between(person, plant) for moment in (grant.starts, grant.ends)]
    moments += [cooperation.ends for cooperation in snapshot.cooperations_on(plant)]
    purpose = snapshot.purposes.get(person, plant)
    if purpose is not None:
        moments += [purpose.starts, purpose.ends]
    for moment in sorted(moment for moment in moments if moment is not None and moment > now):
        if type(decide(snapshot, person, action, plant, moment)) is not type(decision):
            return moment
    return None


def _ways(
    snapshot: Snapshot,
    person: PersonId,
    plant: Plant,
    action: Action,
    grounds: list[Ground],
    decision: Decision,
    now: float,
) -> Iterator[Way]:
    if isinstance(decision, Allowed):
        return
    rule = RULES[action]
    match decision.reason:
        case Denial.NO_TWO_FACTOR:
            yield Way(Who.THE_PERSON, Remedy.SET_UP_TWO_FACTOR)
        case Denial.NO_PURPOSE:
            yield Way(Who.THE_PERSON, Remedy.DECLARE_PURPOSE)
        case Denial.ON_HOLD:
            yield Way(Who.OWNERS, Remedy.LIFT_HOLD)
        case Denial.NO_ROLE:
            administrators_only = rule.roles == {OrgRole.ADMINISTRATOR}
            yield Way(Who.OWNER_ADMINISTRATORS if administrators_only else Who.OWNERS, Remedy.CHANGE_ROLE)
        case Denial.NOT_OWN:
            yield Way(Who.OWNERS, Remedy.JOIN, rule.job)
        case Denial.NO_JOB | Denial.JOB_TOO_LOW if rule.scope is Scope.PLANT and rule.job is not None:
            yield from _ways_to_job(snapshot, person, plant, rule.job, grounds, now)


def _ways_to_job(
    snapshot: Snapshot, person: PersonId, plant: Plant, job: Job, grounds: list[Ground], now: float
) -> Iterator[Way]:
    if any(ground.obstacle is Obstacle.NOT_STARTED and ground.job >= job for ground in grounds):
        yield Way(Who.TIME, Remedy.WAIT, job)
    if snapshot.memberships.get(person, plant.organization) is not None:
        yield Way(Who.OWNERS, Remedy.GRANT, job)
        return
    partners = {membership.organization for membership in snapshot.memberships_of(person)}
    shared = [c for c in snapshot.cooperations_on(plant.id) if c.partner in partners and is_live(None, c.ends, now)]
    for cooperation in sorted(shared, key=lambda cooperation: cooperation.id):
        if not cooperation.accepted:
            yield Way(Who.PARTNERS, Remedy.ACCEPT, job)
        elif cooperation.cap < job:
            yield Way(Who.OWNERS, Remedy.RAISE_CAP, job)
        else:
            yield Way(Who.EITHER_SIDE, Remedy.INVITE, job)
    if not shared:
        yield Way(Who.OWNERS, Remedy.JOIN, job)

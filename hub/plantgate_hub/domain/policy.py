"""Who may do what: one pure function over the snapshot, default deny.

A person's job on a plant comes from the plant's own organization (role, organization-wide job, grant on the plant; each
needs a membership there) or from an accepted cooperation (an invitation by name; it needs a membership in the partner's
organization and gives at most the cooperation's cap). Nothing else gives a job: not being a member or a guest, not an
office in the partner's organization, not the platform role of cloud operator.

A job is not enough for everything: the plant's owner may put access on hold, device pages ask for a second factor, and
an organization may ask for the purpose of every connection.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from .model import (
    CooperationId,
    Grant,
    HoldScope,
    Job,
    Membership,
    OrganizationId,
    OrgRole,
    PersonId,
    Plant,
    PlantId,
    Purpose,
)
from .snapshot import Snapshot

ORGANIZATION_WIDE_LIMIT = Job.TECHNICAL_MANAGER
"""The highest job that may hold on all plants of an organization: Operator is granted on a plant only."""

INHERITING_ROLES = frozenset({OrgRole.ADMINISTRATOR, OrgRole.MODERATOR})
"""Roles that are Operator on their own organization's plants."""


class Action(StrEnum):
    """What a person may want to do; the values read well in 'may not …'."""

    SEE_PLANT = "see the plant and whether it is online"
    SEE_DEVICES = "see which devices the plant has"
    SEE_USAGE = "see how available the plant is and how much it is used remotely"
    SEE_NETWORK = "see addresses, subnets, web targets and gateways of the plant"
    SEE_CONNECTIONS = "see who is connected to the plant"
    READ_AUDIT = "read the plant's audit"
    USE_VPN = "reach the plant over VPN"
    OPEN_DEVICE = "open a device's page"
    CHECK_CONNECTION = "check the connection to a device"
    DECLARE_PURPOSE = "declare a reason for connecting to the plant"
    USE_CREDENTIALS = "use the device's credentials"
    CONFIGURE_PLANT = "configure devices, subnets and web targets"
    ENROL_GATEWAY = "make enrolment codes"
    END_ACCESS = "end all access to the plant"
    RESTORE_ACCESS = "give access to the plant free again"
    SEE_ORGANIZATION = "know the organization"
    SEE_CONTACTS = "see who administers the organization"
    MANAGE_SERVICES = "manage VPN services"
    MANAGE_PLANTS = "create and remove plants"
    MANAGE_MEMBERS = "manage members and jobs"
    MANAGE_COOPERATIONS = "manage cooperations"
    MANAGE_ORGANIZATION = "change the organization's settings"
    MANAGE_ACCOUNT = "manage the own account, VPN profiles and routes"
    SEE_OWN_HISTORY = "see the own connection history"
    RUN_PLATFORM = "run the platform"


class Scope(StrEnum):
    PLANT = "plant"
    ORGANIZATION = "organization"
    ACCOUNT = "account"
    """Everybody, for their own account only."""
    PLATFORM = "platform"


class Effect(StrEnum):
    """What an action on a plant does there; holds stop what goes further than looking."""

    LOOKS = "looks"
    CHANGES = "changes"
    """Its configuration in the hub."""
    REACHES = "reaches"
    """Its network: these are the connections."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Who may do one action. The documentation's table is made from these."""

    scope: Scope
    job: Job | None = None
    """Lowest job on the plant (scope plant)."""
    effect: Effect = Effect.LOOKS
    """What it does to the plant (scope plant)."""
    owners_only: bool = False
    """The job must come from the plant's own organization, not by a cooperation (scope plant)."""
    roles: frozenset[OrgRole] = frozenset()
    """Roles in the organization (scope organization)."""
    organization_job: Job | None = None
    """Lowest organization-wide job that may as well (scope organization)."""
    two_factor: bool = False
    """Needs active two-factor authentication on the account, and a second factor passed in the session."""
    purpose: bool = False
    """Needs a declared purpose where the plant's organization asks for one."""


_EVERY_ROLE = frozenset(OrgRole)
_STAFF = _EVERY_ROLE - {OrgRole.GUEST}
_MODERATORS = frozenset({OrgRole.MODERATOR, OrgRole.ADMINISTRATOR})
_ADMINISTRATORS = frozenset({OrgRole.ADMINISTRATOR})


_on_plant = partial(Rule, Scope.PLANT)


def _in_organization(roles: frozenset[OrgRole], job: Job | None = None) -> Rule:
    return Rule(Scope.ORGANIZATION, roles=roles, organization_job=job)


RULES: dict[Action, Rule] = {
    Action.SEE_PLANT: _on_plant(Job.VIEWER),
    Action.SEE_DEVICES: _on_plant(Job.ASSET_MANAGER_COMMERCIAL),
    Action.SEE_USAGE: _on_plant(Job.ASSET_MANAGER_COMMERCIAL),
    Action.SEE_NETWORK: _on_plant(Job.ASSET_MANAGER_TECHNICAL),
    Action.SEE_CONNECTIONS: _on_plant(Job.TECHNICAL_MANAGER),
    Action.READ_AUDIT: _on_plant(Job.TECHNICAL_MANAGER),
    Action.USE_VPN: _on_plant(Job.OPERATOR, Effect.REACHES, purpose=True),
    Action.OPEN_DEVICE: _on_plant(Job.TECHNICAL_MANAGER, Effect.REACHES, two_factor=True, purpose=True),
    Action.CHECK_CONNECTION: _on_plant(Job.TECHNICAL_MANAGER, Effect.REACHES, two_factor=True, purpose=True),
    Action.DECLARE_PURPOSE: _on_plant(Job.TECHNICAL_MANAGER),
    Action.USE_CREDENTIALS: _on_plant(Job.TECHNICAL_MANAGER, Effect.CHANGES, two_factor=True),
    Action.CONFIGURE_PLANT: _on_plant(Job.TECHNICAL_MANAGER, Effect.CHANGES),
    Action.ENROL_GATEWAY: _on_plant(Job.TECHNICAL_MANAGER, Effect.CHANGES),
    # Whoever sees something wrong on site must be able to stop it; to give access free again is for who answers for it.
    Action.END_ACCESS: _on_plant(Job.OPERATOR, owners_only=True),
    Action.RESTORE_ACCESS: _in_organization(_MODERATORS),
    Action.SEE_ORGANIZATION: _in_organization(_EVERY_ROLE),
    Action.SEE_CONTACTS: _in_organization(_STAFF),
    Action.MANAGE_SERVICES: _in_organization(_MODERATORS, ORGANIZATION_WIDE_LIMIT),
    Action.MANAGE_PLANTS: _in_organization(_MODERATORS),
    Action.MANAGE_MEMBERS: _in_organization(_MODERATORS),
    Action.MANAGE_COOPERATIONS: _in_organization(_MODERATORS),
    Action.MANAGE_ORGANIZATION: _in_organization(_ADMINISTRATORS),
    Action.MANAGE_ACCOUNT: Rule(Scope.ACCOUNT),
    Action.SEE_OWN_HISTORY: Rule(Scope.ACCOUNT),
    Action.RUN_PLATFORM: Rule(Scope.PLATFORM),
}


class Source(StrEnum):
    """Where a job comes from."""

    ROLE = "role in the organization"
    ORGANIZATION_JOB = "organization-wide job"
    GRANT = "grant on the plant"
    INVITATION = "invitation through a cooperation"


@dataclass(frozen=True, slots=True)
class Link:
    """One reason why a person has a job on a plant."""

    source: Source
    job: Job
    """What it gives, after every cap."""
    organization: OrganizationId
    """The person's own organization in this: the plant's, or the cooperation's partner."""
    cooperation: CooperationId | None = None
    ends: float | None = None
    reason: str = ""

    @property
    def external(self) -> bool:
        """Whether it comes from another organization than the plant's."""
        return self.source is Source.INVITATION


@dataclass(frozen=True, slots=True)
class JobDecision:
    """The person's job on the plant (None: none), and all that gives one, the highest first."""

    job: Job | None = None
    chain: tuple[Link, ...] = ()


class Denial(StrEnum):
    """Why something is denied; asked about what they may not see, people are told NOT_KNOWN."""

    NOT_KNOWN = "no such plant, organization or person"
    NO_JOB = "no job on the plant"
    JOB_TOO_LOW = "the job on the plant is not high enough"
    NO_ROLE = "no role in the organization that allows it"
    NO_TWO_FACTOR = "two-factor authentication is not active on the account"
    NOT_OWN = "it is for the plant's own organization"
    ON_HOLD = "access to the plant is on hold"
    NO_PURPOSE = "a reason is required"
    NOT_ONESELF = "it is about another person's account"
    NOT_CLOUD_OPERATOR = "only cloud operators may"
    WRONG_SCOPE = "the action is not about this kind of thing"


@dataclass(frozen=True, slots=True)
class Allowed:
    """Allowed, because of `chain`. With `two_factor` the session must have passed a second factor as well."""

    chain: tuple[Link, ...] = ()
    two_factor: bool = False


@dataclass(frozen=True, slots=True)
class Denied:
    reason: Denial
    job: Job | None = None
    """The job the person does have."""


Decision = Allowed | Denied


def is_live(starts: float | None, ends: float | None, now: float) -> bool:
    """Whether a time box is open: from its start on, until just before its end."""
    return (starts is None or starts <= now) and (ends is None or now < ends)


def job_of(snapshot: Snapshot, person: PersonId, plant: PlantId, now: float) -> JobDecision:
    """The person's job on the plant at `now`, and what it comes from."""
    place = snapshot.plants.get(plant)
    if place is None or snapshot.people.get(person) is None:
        return JobDecision()
    links = [*_own_links(snapshot, person, place, now), *_invitations(snapshot, person, place, now)]
    if not links:
        return JobDecision()
    links.sort(key=lambda link: (-link.job, link.source, link.cooperation or ""))
    return JobDecision(links[0].job, tuple(links))


def _own_links(snapshot: Snapshot, person: PersonId, plant: Plant, now: float) -> Iterator[Link]:
    membership = snapshot.memberships.get(person, plant.organization)
    if membership is None:
        return
    yield from _links_of_membership(membership)
    for grant in snapshot.grants_between(person, plant.id):
        if grant.cooperation is None and is_live(grant.starts, grant.ends, now):
            yield Link(Source.GRANT, grant.job, plant.organization, ends=grant.ends, reason=grant.reason)


def _links_of_membership(membership: Membership) -> Iterator[Link]:
    if membership.role in INHERITING_ROLES:
        yield Link(Source.ROLE, Job.OPERATOR, membership.organization)
    job = organization_job(membership)
    if job is not None:
        yield Link(Source.ORGANIZATION_JOB, job, membership.organization)


def organization_job(membership: Membership) -> Job | None:
    """The job it gives on all plants of the organization. Guests have none: they get what was granted on a plant."""
    if membership.job is None or membership.role is OrgRole.GUEST:
        return None
    return min(membership.job, ORGANIZATION_WIDE_LIMIT)


def _invitations(snapshot: Snapshot, person: PersonId, plant: Plant, now: float) -> Iterator[Link]:
    for grant in snapshot.grants_between(person, plant.id):
        link = _invitation(snapshot, grant, plant, now) if grant.cooperation is not None else None
        if link is not None:
            yield link


def _invitation(snapshot: Snapshot, grant: Grant, plant: Plant, now: float) -> Link | None:
    cooperation = snapshot.cooperations.get(grant.cooperation or "")
    if cooperation is None or cooperation.plant != plant.id or not cooperation.accepted:
        return None
    if not is_live(None, cooperation.ends, now) or not is_live(grant.starts, grant.ends, now):
        return None
    if snapshot.memberships.get(grant.person, cooperation.partner) is None:
        return None
    ends = min((end for end in (grant.ends, cooperation.ends) if end is not None), default=None)
    job = min(grant.job, cooperation.cap)
    return Link(Source.INVITATION, job, cooperation.partner, cooperation.id, ends, grant.reason)


def decide(snapshot: Snapshot, person: PersonId, action: Action, plant: PlantId, now: float) -> Decision:
    """Whether the person may do `action` on the plant. Actions on an organization are decided for the plant's owner."""
    rule = RULES[action]
    place = snapshot.plants.get(plant)
    if rule.scope is Scope.ORGANIZATION and place is not None:
        return decide_in_organization(snapshot, person, action, place.organization)
    if rule.scope is not Scope.PLANT:
        return Denied(Denial.NOT_KNOWN if rule.scope is Scope.ORGANIZATION else Denial.WRONG_SCOPE)
    if place is None:
        return Denied(Denial.NOT_KNOWN)
    return decide_for(snapshot, person, action, place, job_of(snapshot, person, plant, now), now)


def decide_for(
    snapshot: Snapshot, person: PersonId, action: Action, plant: Plant, held: JobDecision, now: float
) -> Decision:
    """`decide` for an action on a plant when the person's job there is known: `held`, of the same `now`."""
    rule = RULES[action]
    account = snapshot.people.get(person)
    if rule.job is None:
        return Denied(Denial.WRONG_SCOPE)
    if account is None:
        return Denied(Denial.NOT_KNOWN)
    if held.job is None:
        return Denied(Denial.NO_JOB)
    if held.job < rule.job:
        return Denied(Denial.JOB_TOO_LOW, held.job)
    if rule.owners_only and not _by_own_right(rule, held.chain):
        return Denied(Denial.NOT_OWN, held.job)
    if _is_held(snapshot, rule, plant, held.chain):
        return Denied(Denial.ON_HOLD, held.job)
    if rule.two_factor and not account.totp_active:
        return Denied(Denial.NO_TWO_FACTOR, held.job)
    if rule.purpose and not has_purpose(snapshot, person, plant, now):
        return Denied(Denial.NO_PURPOSE, held.job)
    return Allowed(held.chain, rule.two_factor)


def _by_own_right(rule: Rule, chain: tuple[Link, ...]) -> bool:
    """Whether a high enough job comes from the plant's own organization."""
    return any(rule.job is not None and link.job >= rule.job and not link.external for link in chain)


def _is_held(snapshot: Snapshot, rule: Rule, plant: Plant, chain: tuple[Link, ...]) -> bool:
    holds = snapshot.holds_on(plant.id)
    if not holds or rule.effect is Effect.LOOKS:
        return False
    if rule.effect is Effect.REACHES and any(hold.scope is HoldScope.EVERYONE for hold in holds):
        return True
    return not _by_own_right(rule, chain)


def has_purpose(snapshot: Snapshot, person: PersonId, plant: Plant, now: float) -> bool:
    """Whether the person declared why they connect to the plant, or the plant's organization does not ask."""
    if not snapshot.connection_policy_of(plant.organization).purpose_required:
        return True
    purpose = snapshot.purposes.get(person, plant.id)
    return purpose is not None and is_live(purpose.starts, purpose.ends, now)


def decide_in_organization(
    snapshot: Snapshot, person: PersonId, action: Action, organization: OrganizationId
) -> Decision:
    """Whether the person may do `action`, one about a whole organization."""
    rule = RULES[action]
    if rule.scope is not Scope.ORGANIZATION:
        return Denied(Denial.WRONG_SCOPE)
    if snapshot.organizations.get(organization) is None or snapshot.people.get(person) is None:
        return Denied(Denial.NOT_KNOWN)
    membership = snapshot.memberships.get(person, organization)
    if membership is None:
        return Denied(Denial.NO_ROLE)
    links = tuple(_links_of_membership(membership))
    if membership.role in rule.roles:
        return Allowed(links)
    wide = organization_job(membership)
    if rule.organization_job is not None and wide is not None and wide >= rule.organization_job:
        return Allowed(links)
    return Denied(Denial.NO_ROLE)


def decide_on_account(snapshot: Snapshot, person: PersonId, action: Action, account: PersonId) -> Decision:
    """Whether the person may do `action`, one about an account: everybody may with their own, nobody with another's."""
    if RULES[action].scope is not Scope.ACCOUNT:
        return Denied(Denial.WRONG_SCOPE)
    if snapshot.people.get(person) is None or snapshot.people.get(account) is None:
        return Denied(Denial.NOT_KNOWN)
    return Allowed() if person == account else Denied(Denial.NOT_ONESELF)


def decide_on_platform(snapshot: Snapshot, person: PersonId, action: Action) -> Decision:
    """Whether the person may do `action`, one about the platform as a whole."""
    if RULES[action].scope is not Scope.PLATFORM:
        return Denied(Denial.WRONG_SCOPE)
    account = snapshot.people.get(person)
    if account is None or not account.cloud_operator:
        return Denied(Denial.NOT_CLOUD_OPERATOR)
    return Allowed()


def actions_on(snapshot: Snapshot, person: PersonId, plant: PlantId, now: float) -> frozenset[Action]:
    """Everything that the person may do on the plant or, about it, in its organization: what a view shows."""
    place = snapshot.plants.get(plant)
    if place is None:
        return frozenset()
    held = job_of(snapshot, person, plant, now)
    decisions = {
        action: decide_for(snapshot, person, action, place, held, now)
        if rule.scope is Scope.PLANT
        else decide(snapshot, person, action, plant, now)
        for action, rule in RULES.items()
    }
    return frozenset(action for action, decision in decisions.items() if isinstance(decision, Allowed))


def may_set_role(
    snapshot: Snapshot,
    person: PersonId,
    organization: OrganizationId,
    member: PersonId,
    role: OrgRole | None,
) -> Decision:
    """Whether the person may give `member` the role (None: end the membership). Moderators cannot touch or make
    Administrators, themselves included; anyone may leave."""
    if member == person and role is None and snapshot.memberships.get(person, organization) is not None:
        return Allowed()
    decision = decide_in_organization(snapshot, person, Action.MANAGE_MEMBERS, organization)
    if isinstance(decision, Denied):
        return decision
    acting = snapshot.memberships.get(person, organization)
    current = snapshot.memberships.get(member, organization)
    touched = {role, current.role if current else None}
    if OrgRole.ADMINISTRATOR in touched and (acting is None or acting.role is not OrgRole.ADMINISTRATOR):
        return Denied(Denial.NO_ROLE)
    return decision


def plants_of_person(snapshot: Snapshot, person: PersonId, now: float) -> Iterator[tuple[Plant, JobDecision]]:
    """Every plant on which the person has a job, with that job, in the order of plant ids."""
    candidates: set[PlantId] = {grant.plant for grant in snapshot.grants_of(person)}
    for membership in snapshot.memberships_of(person):
        if membership.role in INHERITING_ROLES or organization_job(membership) is not None:
            candidates.update(plant.id for plant in snapshot.plants_of(membership.organization))
    for plant_id in sorted(candidates):
        plant = snapshot.plants.get(plant_id)
        decision = job_of(snapshot, person, plant_id, now)
        if plant is not None and decision.job is not None:
            yield plant, decision


def next_transition(snapshot: Snapshot, now: float) -> float | None:
    """When the next time box opens or closes, or None. Decisions stay as they are until then or the next change."""
    return min((moment for moment, _ in _moments(snapshot) if moment > now), default=None)


def people_in_transition(snapshot: Snapshot, since: float, until: float) -> frozenset[PersonId]:
    """Whose jobs a time box that opened or closed in (since, until] touches."""
    return frozenset(person for moment, people in _moments(snapshot) if since < moment <= until for person in people)


def _moments(snapshot: Snapshot) -> Iterator[tuple[float, tuple[PersonId, ...]]]:
    own: tuple[Grant | Purpose, ...] = (*snapshot.grants.by("timed", True), *snapshot.purposes.by("timed", True))
    for row in own:
        for moment in (row.starts, row.ends):
            if moment is not None:
                yield moment, (row.person,)
    for cooperation in snapshot.cooperations.by("timed", True):
        if cooperation.ends is not None:
            yield cooperation.ends, tuple(grant.person for grant in snapshot.grants_in(cooperation.id))

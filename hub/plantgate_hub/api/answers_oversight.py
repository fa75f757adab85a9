"""What the API shows of who may and why, who may not for now, and why something is not reached."""

from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum

from pydantic import Field

from ..connected import Connection, Means
from ..domain.diagnosis import Cause, Fixer, Hop, Result, Step, Way
from ..domain.explain import Explanation, Ground, Obstacle, Remedy, Who
from ..domain.explain import Way as Remedying
from ..domain.model import ConnectionPolicy, Hold, HoldScope, Job, OrgRole, PersonId, PlantId, Purpose
from ..domain.policy import Action, Denial, Source
from ..domain.snapshot import Snapshot
from ..store.protocol import PlantEvent, PlantEventKind
from .schema import Answer, JobName, Resource, moment


class ActionName(StrEnum):
    """What can be done on a plant or in its organization (`services.EXPLAINABLE`)."""

    SEE_PLANT = "see-plant"
    SEE_DEVICES = "see-devices"
    SEE_USAGE = "see-usage"
    SEE_NETWORK = "see-network"
    SEE_CONNECTIONS = "see-connections"
    READ_AUDIT = "read-audit"
    USE_VPN = "use-vpn"
    OPEN_DEVICE = "open-device"
    CHECK_CONNECTION = "check-connection"
    DECLARE_PURPOSE = "declare-purpose"
    USE_CREDENTIALS = "use-credentials"
    CONFIGURE_PLANT = "configure-plant"
    ENROL_GATEWAY = "enrol-gateway"
    END_ACCESS = "end-access"
    RESTORE_ACCESS = "restore-access"
    SEE_ORGANIZATION = "see-organization"
    SEE_CONTACTS = "see-contacts"
    MANAGE_SERVICES = "manage-services"
    MANAGE_PLANTS = "manage-plants"
    MANAGE_MEMBERS = "manage-members"
    MANAGE_COOPERATIONS = "manage-cooperations"
    MANAGE_ORGANIZATION = "manage-organization"

    @classmethod
    def of(cls, action: Action) -> "ActionName":
        return cls[action.name]

    @property
    def action(self) -> Action:
        return Action[self.name]


def _job(job: Job | None) -> JobName | None:
    return None if job is None else JobName.of(job)


# Who is connected, holds, reasons, the plant's record


class ConnectionAnswer(Answer):
    person: str
    name: str
    means: Means
    since: datetime
    last_seen: datetime
    open: int = Field(description="Flows of the VPN, or requests and websockets, under way.")
    external: bool = Field(description="The person's job comes by a cooperation only.")

    @classmethod
    def of(cls, snapshot: Snapshot, connection: Connection) -> "ConnectionAnswer":
        person = snapshot.people.get(connection.person)
        return cls(
            person=connection.person,
            name=person.name if person else "",
            means=connection.means,
            since=datetime.fromtimestamp(connection.since, UTC),
            last_seen=datetime.fromtimestamp(connection.last_seen, UTC),
            open=connection.open,
            external=connection.external,
        )


class HoldAnswer(Resource):
    plant: str
    scope: HoldScope
    at: datetime
    by: str = Field(description="The name of who ended access.")
    reason: str

    @classmethod
    def of(cls, hold: Hold) -> "HoldAnswer":
        return cls.model_validate(
            {"plant": hold.plant, "scope": hold.scope, "at": moment(hold.at), "by": hold.by, "reason": hold.reason}
        )


class PolicyAnswer(Resource):
    organization: str
    purpose_required: bool = Field(description="Whether everybody who connects must say why.")
    longest_purpose: int = Field(description="Seconds that a reason holds at most.")

    @classmethod
    def of(cls, policy: ConnectionPolicy) -> "PolicyAnswer":
        return cls(
            organization=policy.organization,
            purpose_required=policy.purpose_required,
            longest_purpose=int(policy.longest_purpose),
        )


class PurposeAnswer(Resource):
    plant: str
    text: str
    starts: datetime
    ends: datetime

    @classmethod
    def of(cls, purpose: Purpose) -> "PurposeAnswer":
        return cls.model_validate(
            {
                "plant": purpose.plant,
                "text": purpose.text,
                "starts": moment(purpose.starts),
                "ends": moment(purpose.ends),
            }
        )


class PlantEventAnswer(Answer):
    at: datetime
    what: PlantEventKind
    person: str | None = Field(description="Id; null for the hub's own console.")
    name: str = Field(description="The name that the person had.")
    detail: str

    @classmethod
    def of(cls, event: PlantEvent) -> "PlantEventAnswer":
        return cls.model_validate(
            {
                "at": moment(event.at),
                "what": event.what,
                "person": event.person or None,
                "name": event.name,
                "detail": event.detail,
            }
        )


# Why somebody may or may not


class GroundAnswer(Answer):
    """One reason why the person has a job on the plant, or would have it but for the obstacle."""

    source: Source
    job: JobName = Field(description="What it says.")
    gives: JobName | None = Field(description="What counts of it, after every cap.")
    organization: str
    role: OrgRole | None
    cooperation: str | None
    cap: JobName | None = Field(description="The cooperation's highest job.")
    starts: datetime | None
    ends: datetime | None
    reason: str
    obstacle: Obstacle | None = Field(description="Why it does not count.")

    @classmethod
    def of(cls, ground: Ground) -> "GroundAnswer":
        return cls(
            source=ground.source,
            job=JobName.of(ground.job),
            gives=_job(ground.gives),
            organization=ground.organization,
            role=ground.role,
            cooperation=ground.cooperation,
            cap=_job(ground.cap),
            starts=moment(ground.starts),
            ends=moment(ground.ends),
            reason=ground.reason,
            obstacle=ground.obstacle,
        )


class RemedyAnswer(Answer):
    who: Who = Field(description="Who can do it.")
    remedy: Remedy
    job: JobName | None = Field(description="The job that is needed, where it is about one.")

    @classmethod
    def of(cls, way: Remedying) -> "RemedyAnswer":
        return cls(who=way.who, remedy=way.remedy, job=_job(way.job))


class ActionAnswer(Answer):
    action: ActionName
    allowed: bool
    denial: Denial | None
    job: JobName | None = Field(description="The person's job on the plant.")
    needs: JobName | None = Field(description="The lowest job for the action.")
    two_factor: bool = Field(description="Whether the session must have passed a second factor as well.")
    grounds: tuple[GroundAnswer, ...] = Field(description="Where the job comes from; the highest first.")
    holds: tuple[HoldScope, ...] = Field(description="Whom the plant's owner stops for now.")
    purpose: str | None = Field(description="The declared reason, where the plant's organization asks for one.")
    changes_at: datetime | None = Field(description="When the answer turns by itself.")
    remedies: tuple[RemedyAnswer, ...] = Field(description="What would turn a refusal, nearest first.")

    @classmethod
    def of(cls, explained: Explanation) -> "ActionAnswer":
        return cls(
            action=ActionName.of(explained.action),
            allowed=explained.allowed,
            denial=explained.denial,
            job=_job(explained.job),
            needs=_job(explained.needs),
            two_factor=explained.two_factor,
            grounds=tuple(map(GroundAnswer.of, explained.grounds)),
            holds=tuple(hold.scope for hold in explained.holds),
            purpose=explained.purpose.text if explained.purpose else None,
            changes_at=moment(explained.changes_at),
            remedies=tuple(map(RemedyAnswer.of, explained.ways)),
        )


class ExplanationAnswer(Answer):
    person: str
    plant: str
    actions: tuple[ActionAnswer, ...]

    @classmethod
    def of(cls, person: PersonId, plant: PlantId, explained: Iterable[Explanation]) -> "ExplanationAnswer":
        return cls(person=person, plant=plant, actions=tuple(map(ActionAnswer.of, explained)))


# Why something is not reached


class StepAnswer(Answer):
    hop: Hop
    result: Result
    cause: Cause | None = Field(description="What is wrong there.")
    detail: str = Field(description="For the small print.")
    fixer: Fixer | None = Field(description="Who can do something about it.")

    @classmethod
    def of(cls, step: Step) -> "StepAnswer":
        return cls(
            hop=step.hop,
            result=step.result,
            cause=step.cause or None,
            detail=step.detail,
            fixer=step.fixer or None,
        )


class DiagnosisAnswer(Answer):
    way: Way
    steps: tuple[StepAnswer, ...] = Field(description="Every hop, in the order of the way.")

    @classmethod
    def of(cls, way: Way, steps: Iterable[Step]) -> "DiagnosisAnswer":
        return cls(way=way, steps=tuple(map(StepAnswer.of, steps)))

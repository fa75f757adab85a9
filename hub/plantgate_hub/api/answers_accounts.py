"""What the API shows of accounts: invitations, tokens, sessions, and what happened."""

from datetime import datetime
from typing import Any

from pydantic import Field

from ..domain.accounts import AccountEvent, AccountRecord, ApiToken, Invitation
from ..domain.model import OrgRole, PersonId
from ..domain.scopes import TokenScope
from ..ports import SessionRecord
from ..services import NewInvitation, NewToken, acting
from .schema import Answer, JobName, ShownOnce, moment


class InvitationAnswer(Answer):
    id: str
    organization: str
    email: str
    role: OrgRole
    job: JobName | None = Field(description="Job on every plant of the organization.")
    created: datetime
    expires: datetime

    @classmethod
    def of(cls, invitation: Invitation) -> "InvitationAnswer":
        return cls(**_invitation(invitation))


class NewInvitationAnswer(InvitationAnswer, ShownOnce):
    link: str | None = Field(description="To pass on, shown this once; null where the hub mailed it.")

    @classmethod
    def with_link(cls, made: NewInvitation) -> "NewInvitationAnswer":
        return cls(**_invitation(made.invitation), link=made.link or None)


def _invitation(invitation: Invitation) -> dict[str, Any]:
    return {
        "id": invitation.id,
        "organization": invitation.organization,
        "email": invitation.email,
        "role": invitation.role,
        "job": None if invitation.job is None else JobName.of(invitation.job),
        "created": moment(invitation.created),
        "expires": moment(invitation.expires),
    }


class TokenAnswer(Answer):
    id: str
    name: str
    scopes: tuple[TokenScope, ...]
    created: datetime
    expires: datetime
    last_used: datetime | None = Field(description="To the hour.")

    @classmethod
    def of(cls, token: ApiToken) -> "TokenAnswer":
        return cls(**_token(token))


class NewTokenAnswer(TokenAnswer, ShownOnce):
    token: str = Field(description="What the program sends. It is shown this once.")

    @classmethod
    def revealing(cls, made: NewToken) -> "NewTokenAnswer":
        return cls(**_token(made.token), token=made.secret)


def _token(token: ApiToken) -> dict[str, Any]:
    return {
        "id": token.id,
        "name": token.name,
        "scopes": tuple(sorted(token.scopes)),
        "created": moment(token.created),
        "expires": moment(token.expires),
        "last_used": moment(token.last_used),
    }


class SessionAnswer(Answer):
    id: str
    here: bool = Field(description="Whether it is the session that asks.")
    created: datetime
    last_seen: datetime
    expires: datetime
    address: str = Field(description="Where the sign-in came from.")
    browser: str = Field(description="What the browser calls itself.")

    @classmethod
    def of(cls, session: SessionRecord, here: str) -> "SessionAnswer":
        return cls.model_validate(
            {
                "id": session.id,
                "here": session.id == here,
                "created": moment(session.created),
                "last_seen": moment(session.last_seen),
                "expires": moment(session.expires),
                "address": session.address,
                "browser": session.browser,
            }
        )


class AccountRecordAnswer(Answer):
    at: datetime
    event: AccountEvent
    own: bool = Field(description="Whether you did it yourself.")
    organization: str | None
    detail: str

    @classmethod
    def of(cls, record: AccountRecord, person: PersonId) -> "AccountRecordAnswer":
        return cls.model_validate(
            {
                "at": moment(record.at),
                "event": record.event,
                "own": record.actor == acting(person).name,
                "organization": record.organization or None,
                "detail": record.detail,
            }
        )

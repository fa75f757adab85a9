"""One's own API tokens and sessions, and what happened to the account."""

from pydantic import Field

from plantgate_shared.errors import NotFound

from ...domain.accounts import DAY, MAX_TOKEN_SECONDS
from ...domain.scopes import TokenScope
from ..answers_accounts import AccountRecordAnswer, NewTokenAnswer, SessionAnswer, TokenAnswer
from ..call import Call
from ..operation import Tag, operation
from ..order import newest_first
from ..problems import Problem
from ..schema import Body, Name, Page, PageQuery, page_of


class NewToken(Body):
    name: Name
    scopes: list[TokenScope] = Field(min_length=1, max_length=len(TokenScope))
    valid_for: int = Field(int(90 * DAY), ge=60, le=int(MAX_TOKEN_SECONDS), description="Seconds.")


@operation("GET", "/me/history", Tag.ACCOUNT, TokenScope.READ)
async def list_history(call: Call, query: PageQuery) -> Page[AccountRecordAnswer]:
    """What happened to your account, the newest first."""
    person = call.caller.person
    records = await call.services.people.history(call.actor, person)
    return page_of(
        query,
        records,
        lambda record: (newest_first(record.at), record.id),
        lambda record: AccountRecordAnswer.of(record, person),
    )


# Tokens: one that was stolen must not make others, nor take away the owner's


@operation("GET", "/me/tokens", Tag.ACCOUNT, None)
async def list_tokens(call: Call, query: PageQuery) -> Page[TokenAnswer]:
    """Your API tokens that still hold; never the secrets."""
    tokens = await call.services.tokens.of_person(call.actor, call.caller.person)
    return page_of(query, tokens, lambda token: (token.id,), TokenAnswer.of)


@operation("POST", "/me/tokens", Tag.ACCOUNT, None, status=201, problems=frozenset({Problem.CONFLICT, Problem.PROOF}))
async def create_token(call: Call, body: NewToken) -> NewTokenAnswer:
    """Make an API token. It never may more than you; its scopes narrow that."""
    call.ask_for_proof()
    made = await call.services.tokens.create(
        call.actor, call.caller.person, body.name, body.scopes, float(body.valid_for)
    )
    return NewTokenAnswer.revealing(made)


@operation("POST", "/me/tokens/{token}/revoke", Tag.ACCOUNT, None)
async def revoke_token(call: Call, token: str) -> None:
    """Revoke a token: it is refused within a second. A token never changes otherwise, so that no ETag is asked for."""
    await call.services.tokens.revoke(call.actor, call.caller.person, token)


# Sessions


@operation("GET", "/me/sessions", Tag.ACCOUNT, None)
async def list_sessions(call: Call, query: PageQuery) -> Page[SessionAnswer]:
    """The browsers in which you are signed in, the newest sign-in first."""
    here = call.browser
    sessions = await here.sessions.of_person(call.caller.person)
    return page_of(
        query,
        sessions,
        lambda session: (newest_first(session.created), session.id),
        lambda session: SessionAnswer.of(session, here.session.id),
    )


@operation("POST", "/me/sessions/{session}/end", Tag.ACCOUNT, None)
async def end_session(call: Call, session: str) -> None:
    """Sign one of your browsers out, with the device pages that are open in it."""
    sessions = call.browser.sessions
    if session not in {one.id for one in await sessions.of_person(call.caller.person)}:
        raise NotFound("you have no such session")
    await sessions.end(session)


@operation("POST", "/me/sessions/end-others", Tag.ACCOUNT, None)
async def end_other_sessions(call: Call) -> None:
    """Sign all your browsers out but the one that asks."""
    here = call.browser
    await here.sessions.end_others(call.caller.person, keep=here.session.id)

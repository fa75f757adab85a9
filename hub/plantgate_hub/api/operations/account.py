"""One's own account."""

from ...domain.scopes import TokenScope
from ..answers import MeAnswer
from ..call import Call
from ..operation import Tag, operation
from ..schema import Body, Name


class Rename(Body):
    name: Name


@operation("GET", "/me", Tag.ACCOUNT, TokenScope.READ)
def show_me(call: Call) -> MeAnswer:
    """Who is signed in, and their memberships."""
    person = call.view.me()
    return MeAnswer.with_memberships(person, call.view.snapshot.memberships_of(person.id))


@operation("PATCH", "/me", Tag.ACCOUNT, None, resource=show_me)
async def rename_me(call: Call, body: Rename) -> MeAnswer:
    """Change one's own name."""
    await call.services.people.rename(call.actor, call.caller.person, body.name)
    return show_me(call)

"""Writing the accounts' history, in the same change as what it tells of."""

from ..domain.accounts import AccountEvent, AccountRecord
from ..store.ids import new_id
from ..store.protocol import ChangeTransaction
from .context import Actor, Context


async def record(
    context: Context,
    change: ChangeTransaction,
    actor: Actor,
    event: AccountEvent,
    person: str = "",
    organization: str = "",
    detail: str = "",
) -> None:
    await change.accounts.record(
        AccountRecord(new_id(), context.now(), actor.name, event, person, organization, detail)
    )

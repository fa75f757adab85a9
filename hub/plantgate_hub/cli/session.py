"""One run of an `admin` command: the services in this process, who acts, and the command's place in the app."""

import asyncio
import inspect
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from plantgate_shared.config import load
from plantgate_shared.errors import ConfigError, InvalidInput, NotFound

from .. import keys
from ..config import HubConfig
from ..domain.clients import ClientSettings
from ..domain.snapshot import Snapshot
from ..opening import Opened, open_services
from ..services import CONSOLE, Actor, Services, acting, generate_password
from ..store import SqlStore
from ..store.engines import parse_url
from . import output
from .options import DEFAULT_CONFIG, As, Config, Json
from .owner import become_owner
from .references import References

Command = Callable[..., Coroutine[Any, Any, Any]]


@dataclass(frozen=True)
class Session:
    """What a command works with."""

    config: HubConfig
    keys: keys.HubKeys
    store: SqlStore
    services: Services
    snapshot: Snapshot
    """As of the command's start: to find what it names. The services check on the newest state."""
    actor: Actor
    find: References

    async def client_settings(self) -> ClientSettings:
        return await Opened(self.keys, self.store, self.services).client_settings(self.config)


@asynccontextmanager
async def session(config: HubConfig, email: str = "") -> AsyncIterator[Session]:
    """The services over the configured store, acting as the person with this address (none: the console)."""
    become_owner(parse_url(config.database.url))
    async with open_services(config) as opened:
        snapshot = await opened.store.load_snapshot()
        actor = _actor(snapshot, email)
        find = References(snapshot, actor, opened.services.context.now())
        yield Session(config, opened.keys, opened.store, opened.services, snapshot, actor, find)
        await opened.services.context.outbox.flush()


def _actor(snapshot: Snapshot, email: str) -> Actor:
    if not email:
        return CONSOLE
    person = snapshot.person_by_email(email.strip().lower())
    if person is None:
        raise NotFound(f"there is no person {email!r}")
    return acting(person.id)


def command(app: typer.Typer, name: str) -> Callable[[Command], Command]:
    """Makes `async def work(session, …)` the command `name`, with the options that every admin command has; what it
    returns is shown."""

    def decorate(work: Command) -> Command:
        own = list(inspect.signature(work, eval_str=True).parameters.values())[1:]
        shared = [
            inspect.Parameter("config", inspect.Parameter.KEYWORD_ONLY, default=DEFAULT_CONFIG, annotation=Config),
            inspect.Parameter("as_", inspect.Parameter.KEYWORD_ONLY, default="", annotation=As),
            inspect.Parameter("json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Json),
        ]

        def run(*, config: Path, as_: str, json: bool, **arguments: Any) -> None:
            output.show(asyncio.run(_run(load(config, HubConfig), as_, lambda s: work(s, **arguments))), json)

        parameters = [*(p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own), *shared]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        run.__doc__ = work.__doc__
        app.command(name)(run)
        return work

    return decorate


async def _run(config: HubConfig, email: str, work: Callable[[Session], Awaitable[Any]]) -> Any:
    async with session(config, email) as opened:
        return await work(opened)


def read_password(file: str) -> tuple[str, bool]:
    """(password, whether it was made here) from a file's first line, '-' for standard input, or a new one."""
    if not file:
        return generate_password(), True
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot read the password file {file}: {error.strerror}") from None
    lines = text.splitlines()
    if not lines:
        raise InvalidInput("the password is empty")
    return lines[0], False

"""The command line. Each command imports what it needs and no more: the host's memory begins here."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from . import __version__

if TYPE_CHECKING:
    from .config import AgentConfig
    from .lans import Lan

DEFAULT_CONFIG = "/etc/plantgate-agent/agent.yaml"


def main(argv: Sequence[str] | None = None) -> int:
    """The command's exit status; errors are one line on standard error."""
    from plantgate_shared.errors import PlantgateError

    arguments = _parser().parse_args(argv)
    try:
        status: int = arguments.command(arguments)
        return status
    except PlantgateError as error:
        print(f"plantgate-agent: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="plantgate-agent", description="Plantgate's edge agent for a gateway.")
    parser.add_argument("--version", action="version", version=f"plantgate-agent {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, function: object, text: str, *, listed: bool = True) -> argparse.ArgumentParser:
        if listed:
            added = commands.add_parser(name, help=text, description=text)
        else:
            added = commands.add_parser(name, description=text)
        added.add_argument("--config", metavar="FILE", help=f"configuration file (default: {DEFAULT_CONFIG}, if there)")
        added.set_defaults(command=function)
        return added

    enroll = command("enroll", _enroll, "Join this gateway to its plant with a one-time code.")
    enroll.add_argument("--hub", required=True, metavar="URL", help="the hub, like https://hub.example.com")
    enroll.add_argument(
        "--code",
        help="the one-time code from the plant's page in the portal; without it, it is asked for, or read from "
        "standard input, and so is in no list of processes",
    )
    confirmation = enroll.add_mutually_exclusive_group()
    confirmation.add_argument("--boundary", type=Path, metavar="FILE", help="YAML list of networks to make reachable")
    confirmation.add_argument("--yes", action="store_true", help="accept the detected networks that are proposed")
    enroll.add_argument("--replace", action="store_true", help="give up an earlier enrolment, its keys and boundary")

    command("run", _run, "Run the agent (what the service does).")
    status = command("status", _status, "Show how the running agent is.")
    status.add_argument("--json", action="store_true", help="as one JSON document")
    command("worker", _worker, "The agent's inner process; `run` starts it.", listed=False)
    command("boundary", _boundary, "Check the boundary file, and print the networks that it lets through.")
    command("cleanup", _cleanup, "Remove from the kernel what an agent that is gone left there.")
    command("example-config", _example_config, "Print a configuration file with every key explained.")
    return parser


def _load(arguments: argparse.Namespace) -> "AgentConfig":
    from plantgate_shared.config import load, parse

    from .config import AgentConfig, from_environment

    given = from_environment()
    if given is not None and arguments.config is None:
        return given
    if arguments.config is None and not Path(DEFAULT_CONFIG).exists():
        return parse({}, AgentConfig)
    return load(Path(arguments.config or DEFAULT_CONFIG), AgentConfig)


def _enroll(arguments: argparse.Namespace) -> int:
    import asyncio

    from plantgate_shared.identity.handshake import HandshakeError, Reason

    from .enrol import Request, enrol
    from .prove import prove
    from .state import parse_hub_url

    config = _load(arguments)
    code = arguments.code or _read_code()
    request = Request(parse_hub_url(arguments.hub), code, arguments.boundary, arguments.yes, arguments.replace)
    ask = input if sys.stdin.isatty() else None
    enrolment, identity = enrol(config, request, _detect(config), ask, print)
    print(f"enrolled as a gateway of the plant {enrolment.plant_name!r}")
    try:
        for sentence in asyncio.run(prove(config, enrolment, identity)).sentences():
            print(sentence)
    except HandshakeError as error:
        if error.reason is not Reason.INACTIVE:
            raise
        print("another gateway serves this plant now; this one waits until it is made the active one in the portal")
    if arguments.replace:
        print("an agent that runs goes on as before until: systemctl restart plantgate-agent")
    print("start the agent with: systemctl enable --now plantgate-agent")
    return 0


def _read_code() -> str:
    from plantgate_shared.errors import InvalidInput

    code = input("one-time code: ") if sys.stdin.isatty() else sys.stdin.readline()
    if not code.strip():
        raise InvalidInput("there is no enrolment code", hint="give --code, or the code on standard input")
    return code.strip()


def _detect(config: "AgentConfig") -> "tuple[Lan, ...]":
    import asyncio
    import json

    from plantgate_shared.kernel.commands import run

    from .lans import detect

    async def read() -> "tuple[Lan, ...]":
        addresses = await run("ip", "-json", "-details", "-4", "address", "show", operation="read the addresses")
        routes = await run("ip", "-json", "-4", "route", "show", operation="read the routes")
        return detect(json.loads(addresses or "[]"), json.loads(routes or "[]"), config.pools)

    return asyncio.run(read())


def _run(arguments: argparse.Namespace) -> int:
    from . import host
    from .config import to_environment
    from .prepare import prepare

    config = _load(arguments)
    lock = prepare(config)
    os.environ.update({**to_environment(config), host.LOCK_FD: str(lock)})
    command = host.command(config.worker_user)
    sys.stdout.flush()
    os.execv(command[0], command)  # noqa: S606  the host starts with an empty memory


def _worker(arguments: argparse.Namespace) -> int:
    from .worker import run

    return run(_load(arguments))


def _boundary(arguments: argparse.Namespace) -> int:
    from . import boundary

    config = _load(arguments)
    print(*boundary.read(config.boundary_file, config.pools).networks, sep="\n")
    return 0


def _status(arguments: argparse.Namespace) -> int:
    import json

    from . import status

    document = status.read(_load(arguments).run_dir)
    print(json.dumps(document, indent=2) if arguments.json else status.render(document))
    return 0 if document["connected"] and not document["error"] else 1


def _cleanup(arguments: argparse.Namespace) -> int:
    import asyncio

    from .app import clean_up
    from .config import from_environment
    from .state import StateDirectory

    config = _load(arguments)
    state = StateDirectory(config.state_dir, config.worker_user)
    if from_environment() is None and state.enrolled():  # a person's or systemd's command, not the host's own
        state.lock()
    asyncio.run(clean_up(config))
    return 0


def _example_config(_arguments: argparse.Namespace) -> int:
    from plantgate_shared.config import example

    from .config import AgentConfig

    print(example(AgentConfig))
    return 0

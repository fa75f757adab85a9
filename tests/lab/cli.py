"""Labs by hand: `python -m tests.lab.cli up NAME | exec HOST -- CMD | down NAME | list`."""

import argparse
import asyncio
import json
import os
import signal
import sys

from plantgate_shared.errors import InvalidInput, PlantgateError

from . import state
from .lab import Lab
from .topology import TOPOLOGIES, known
from .world import populate


def up(options: argparse.Namespace) -> int:
    keep = not options.foreground
    if options.foreground:  # from here on, so that a signal in the middle of it cannot leave half a lab
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    lab = Lab.up(options.topology, name=options.name, keep=keep)
    try:
        if options.port:
            lab.forward(options.port)
            lab.update(forward=f"127.0.0.1:{options.port}")
        if options.product:
            asyncio.run(populate(lab, options.port or 443, lambda text: print(f"lab: {text}", file=sys.stderr)))
    except BaseException:
        lab.down()
        raise
    try:
        print(json.dumps(lab.document, indent=2), flush=True)
        if options.foreground:
            signal.pause()
    except KeyboardInterrupt:
        pass
    finally:
        if options.foreground:
            lab.down()
    return 0


def execute(options: argparse.Namespace) -> int:
    if not options.command:
        raise InvalidInput("there is no command to run", hint="exec HOST -- COMMAND ARGUMENT...")
    command = Lab.attach(options.lab)[options.host].command(options.command)
    os.execvp(command[0], command)  # noqa: S606  in place of this process, with its terminal


def down(options: argparse.Namespace) -> int:
    state.take_down(options.name)
    return 0


def show(options: argparse.Namespace) -> int:
    up_now = state.names()
    if options.json:
        print(json.dumps([state.LabState(name).document for name in up_now], indent=2))
        return 0
    for name in up_now:
        document = state.LabState(name).document
        hosts = ", ".join(host["name"] for host in document["hosts"]) if document else "being made"
        print(f"{name}: up ({hosts})")
    if not up_now:
        print("no lab is up")
    print(f"topologies: {', '.join(known())}")
    return 0


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="dev lab", description="Topologies of network namespaces; see docs/lab.md.")
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("up", help="bring a topology up, print it as JSON, leave it up")
    command.add_argument("topology", metavar="NAME", help=", ".join(TOPOLOGIES))
    command.add_argument("--name", help="name of the lab, where it is not the topology's", default=None)
    command.add_argument("--port", type=int, help="make 127.0.0.1:PORT of this machine lead to the hub's port 443")
    command.add_argument(
        "--without-product", dest="product", action="store_false", help="only hosts and devices: no hub, agents, people"
    )
    command.add_argument("--foreground", action="store_true", help="stay, and take the lab down when interrupted")
    command.set_defaults(function=up)

    command = commands.add_parser("exec", help="run a command on a host")
    command.add_argument("host", metavar="HOST")
    command.add_argument("--lab", metavar="NAME", help="which lab, when more than one is up", default=None)
    command.add_argument("command", nargs="*", metavar="-- COMMAND")
    command.set_defaults(function=execute)

    command = commands.add_parser("down", help="take a lab down, also what a crash left of it")
    command.add_argument("name", nargs="?", metavar="NAME", help="which lab; not needed when only one is up")
    command.set_defaults(function=down)

    command = commands.add_parser("list", help="the labs that are up, and the topologies there are")
    command.add_argument("--json", action="store_true", help="the documents of the labs that are up")
    command.set_defaults(function=show)
    return top


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        status: int = options.function(options)
    except PlantgateError as error:
        print(f"lab: {error}", file=sys.stderr)
        return error.exit_code
    return status


if __name__ == "__main__":
    sys.exit(main())

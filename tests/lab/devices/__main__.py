"""A device: `python -m tests.lab.devices --plant north --name inverter web modbus ssh snmp stream`.

Prints `ready` when all its servers accept requests, and serves until it is killed.
"""

import argparse
import asyncio
import importlib

from .identity import Identity

SERVICES = ("web", "modbus", "ssh", "snmp", "stream")
"""Each is a module of this package with `async def serve(identity)`, imported only where it is asked for."""


async def serve(identity: Identity, services: list[str]) -> None:
    running = [await importlib.import_module(f"{__package__}.{name}").serve(identity) for name in services]
    print(f"{identity.label}: {' '.join(services)}\nready", flush=True)
    await asyncio.Event().wait()
    del running


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.lab.devices", description=__doc__)
    parser.add_argument("--plant", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("services", nargs="+", choices=SERVICES)
    options = parser.parse_args()
    asyncio.run(serve(Identity(options.plant, options.name), options.services))


if __name__ == "__main__":
    main()

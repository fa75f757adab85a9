"""`plantgate-hub serve`, `clean-up`, `example-config`: run a node, take its data plane away, configure one."""

import asyncio

import typer

from plantgate_shared import logging
from plantgate_shared.config import example, load

from ..config import HubConfig
from .options import DEFAULT_CONFIG, Config


def register(app: typer.Typer) -> None:
    app.command("serve")(_serve)
    app.command("clean-up")(_clean_up)
    app.command("example-config")(_example_config)


def _serve(config: Config = DEFAULT_CONFIG) -> None:
    """Run this node: portal, device pages, agents' tunnels, and the VPN where the system allows it."""
    from ..app import serve  # the other commands start faster without it

    settings = load(config, HubConfig)
    logging.configure(settings.log.level, json=settings.log.json)
    asyncio.run(serve(settings))


def _clean_up() -> None:
    """Take the VPN's interfaces and rules away, as after a stop of the service. Needs no configuration."""
    from ..app import clean_up

    logging.configure()
    asyncio.run(clean_up())


def _example_config() -> None:
    """Print a configuration file with every key, its default and what it is for."""
    print(example(HubConfig))

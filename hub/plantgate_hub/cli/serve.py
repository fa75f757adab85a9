"""`plantgate-hub serve` and `clean-up`: run a node, and take its data plane away after it has ended."""

import asyncio

import typer

from plantgate_shared import logging
from plantgate_shared.config import load

from ..config import HubConfig
from .options import DEFAULT_CONFIG, Config


def register(app: typer.Typer) -> None:
    app.command("serve")(_serve)
    app.command("clean-up")(_clean_up)


def _serve(config: Config = DEFAULT_CONFIG) -> None:
    """Run this node: portal, device pages, agents' tunnels, and the VPN where the system allows it."""
    from ..app import serve  # the other commands start faster without it

    settings = load(config, HubConfig)
    logging.configure(settings.log.level, json=settings.log.json)
    asyncio.run(serve(settings))


def _clean_up(config: Config = DEFAULT_CONFIG) -> None:
    """Take the VPN's interfaces and rules away, as after a stop of the service."""
    from ..app import clean_up

    settings = load(config, HubConfig)
    logging.configure(settings.log.level, json=settings.log.json)
    asyncio.run(clean_up(settings))

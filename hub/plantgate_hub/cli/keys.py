"""`plantgate-hub keys`: the hub's key fingerprints, and the one key that is rotated as a matter of routine."""

import typer

from plantgate_shared.config import load

from .. import keys
from ..config import HubConfig
from . import output
from .options import DEFAULT_CONFIG, Config, Json

app = typer.Typer(help="The hub's own keys; see docs/security.md.", no_args_is_help=True)


@app.command("list")
def list_keys(config: Config = DEFAULT_CONFIG, json: Json = False) -> None:
    """Show the public halves and fingerprints, to compare with what people and gateways have."""
    held = keys.load_or_create(load(config, HubConfig).keys.directory)
    output.show([{"key": name, "fingerprint": text} for name, text in held.fingerprints().items()], json)


@app.command("rotate-agents")
def rotate_agents(config: Config = DEFAULT_CONFIG, json: Json = False) -> None:
    """Make a new WireGuard key towards gateways. The hub takes it at its next start, and every agent hears of it."""
    made = keys.rotate_agents_key(load(config, HubConfig).keys.directory)
    output.show({"key": keys.AGENTS_KEY, "fingerprint": made.public, "takes effect": "at the hub's next start"}, json)

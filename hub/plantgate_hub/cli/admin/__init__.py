"""`plantgate-hub admin`: everything that can be done to people, plants and permissions, through the services."""

import typer

from . import access, accounts, batch, gateways, oversight, people, plants, vpn

app = typer.Typer(
    help="People, plants and permissions. A running hub follows within a moment.\n\n"
    "Names are looked up; where one is not unique, use the id, or 'organization/plant' and 'plant/device'.",
    no_args_is_help=True,
)
for part in (people, accounts, plants, access, vpn, gateways, oversight, batch):
    part.add_to(app)

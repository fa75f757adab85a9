"""One good request for every operation, on the filled world."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from plantgate_hub.api.operation import Operation
from tests.api.filled import public_key
from tests.api.site import OPERATIONS, OWN_PAGE, ApiSite, Reply

STANDARD = {
    "organization": "north",
    "person": "tom",
    "plant": "wind",
    "subnet": "wind subnet",
    "device": "wind device",
    "target": "wind target",
    "gateway": "wind gateway",
    "code": "wind code",
    "cooperation": "shared",
    "service": "second",
    "profile": "profile of ada",
    "token": "token of ada",
    "session": "session of ada",
    "invitation": "invitation to north",
    "scope": "hold",
}
"""What a path parameter stands for, by name in the filled world."""

IN_WEST = {
    "organization": "west",
    "person": "wes",
    "plant": "mill",
    "subnet": "mill subnet",
    "device": "mill device",
    "target": "mill target",
    "gateway": "mill gateway",
    "code": "mill code",
    "profile": "profile of wes",
    "token": "token of wes",
    "session": "session of wes",
    "invitation": "invitation to west",
}


@dataclass(frozen=True)
class Sample:
    body: Callable[[ApiSite], Any] | None = None
    who: str = "ada"
    where: Mapping[str, str] = field(default_factory=dict)
    query: str = ""


def _given(**body: Any) -> Callable[[ApiSite], Any]:
    return lambda _site: body


SAMPLES: dict[str, Sample] = {
    "rename_me": Sample(_given(name="Ada L.")),
    "create_organization": Sample(_given(name="East"), "root"),
    "create_token": Sample(_given(name="report", scopes=["read", "vpn"])),
    "invite_member": Sample(_given(email="new@example.com", role="member", job="viewer")),
    "end_access": Sample(_given(scope="everyone", reason="smoke"), "tom"),
    "list_holds": Sample(where={"plant": "solar"}),
    "show_hold": Sample(where={"plant": "solar"}),
    "lift_hold": Sample(where={"plant": "solar"}),
    "declare_purpose": Sample(_given(text="ticket 8", valid_for=3600)),
    "set_connection_policy": Sample(_given(purpose_required=True, longest_purpose=7200)),
    "rename_organization": Sample(_given(name="North Sea")),
    "remove_organization": Sample(who="root", where={"organization": "empty"}),
    "set_member": Sample(_given(role="moderator", job="technical-manager")),
    "create_account": Sample(_given(email="new@example.com", name="New"), "root"),
    "change_account": Sample(_given(cloud_operator=True), "root"),
    "create_plant": Sample(_given(name="Hydro")),
    "rename_plant": Sample(_given(name="Windy")),
    "add_subnet": Sample(_given(network="10.1.0.0/24")),
    "remove_subnet": Sample(where={"subnet": "empty subnet"}),
    "add_device": Sample(_given(name="Meter", address="192.168.1.20"), "tec"),
    "change_device": Sample(_given(name="Old inverter"), "tec"),
    "add_target": Sample(_given(host="wind-meter", scheme="http", base_path="/ui")),
    "pin_certificate": Sample(_given(pinned_sha256="ab" * 32)),
    "give_job": Sample(
        lambda s: {"person": s.id("vic"), "job": "operator", "ends": "1970-01-20T00:00:00Z", "reason": "x"}
    ),
    "offer_cooperation": Sample(lambda s: {"partner": s.id("west"), "cap": "viewer"}),
    "accept_cooperation": Sample(who="sam", where={"cooperation": "offered"}),
    "change_cap": Sample(_given(cap="viewer")),
    "invite": Sample(lambda s: {"person": s.id("sam"), "job": "viewer"}),
    "show_invitation": Sample(where={"person": "sue"}),
    "withdraw_invitation": Sample(where={"person": "sue"}),
    "create_service": Sample(_given(name="Third")),
    "assign_plant": Sample(where={"plant": "solar"}),
    "create_code": Sample(_given(name="roof", valid_for=3600), "tec"),
    "create_profile": Sample(lambda _: {"name": "phone", "public_key": public_key()}),
    "rotate_key": Sample(lambda _: {"public_key": public_key()}),
    "change_preference": Sample(_given(priority=3)),
}
SAMPLES |= {name: Sample() for name in OPERATIONS if name not in SAMPLES}


def path_of(operation: Operation, ids: Callable[[str], str]) -> str:
    """The operation's path with an id for each parameter, by the parameter's name."""
    return operation.path.format_map({name: ids(name) for name in operation.parameters})


def sample_path(site: ApiSite, operation: Operation) -> str:
    sample = SAMPLES[operation.name]
    return path_of(operation, lambda name: site.id({**STANDARD, **sample.where}[name])) + sample.query


def resource_path(site: ApiSite, operation: Operation) -> str:
    """Where the state is read that the operation's sample request changes."""
    assert operation.resource
    ids = {**STANDARD, **SAMPLES[operation.name].where}
    return path_of(operation.resource, lambda name: site.id(ids[name]))


def sample_body(site: ApiSite, operation: Operation) -> Any:
    made = SAMPLES[operation.name].body
    return made(site) if made else None


async def send(site: ApiSite, operation: Operation, **changed: Any) -> Reply:
    """The operation's sample request, changed as said."""
    request: dict[str, Any] = {"who": SAMPLES[operation.name].who, "body": sample_body(site, operation)}
    if operation.needs_match:
        request["match"] = "*"
    who = changed.get("who", request["who"])
    if operation.scope is None and who in site.world.people:  # signed-in people only
        own = {**OWN_PAGE, "Content-Type": "application/json"}
        headers = {**await site.sign_in(who), **own, **changed.get("headers", {})}
        changed = {**changed, "who": "", "headers": headers}
    path = changed.pop("path", sample_path(site, operation))
    if "raw" in changed:
        request.pop("body")
    return await site.call(operation.method, path, **{**request, **changed})

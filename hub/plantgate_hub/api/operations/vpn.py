"""One's own VPN: profiles, routes, and what one prefers where plants share a range."""

from pydantic import Field

from ...domain.clients import render_client_config
from ...domain.model import ProfileId, SubnetId
from ...domain.routes import routes_of
from ...domain.scopes import TokenScope
from ...domain.snapshot import key_of
from ...services.profiles import MAX_PRIORITY
from ..answers import ConfigurationAnswer, PreferenceAnswer, ProfileAnswer, RouteAnswer
from ..call import Call
from ..operation import Tag, operation
from ..problems import Problem
from ..schema import Body, Name, Page, PageQuery, Query, page_of

_CONFLICT = frozenset({Problem.CONFLICT})
_KEY = "X25519 public key of a pair made on your device, as `wg pubkey` prints it."


class NewProfile(Body):
    name: Name
    public_key: str = Field(max_length=64, description=_KEY)


class NewKey(Body):
    public_key: str = Field(max_length=64, description=_KEY)


class WhichRanges(Query):
    aliases_only: bool = Field(False, description="Only alias addresses go into the tunnel (an office on 10/8).")


class PreferenceChange(Body):
    """What is left out stays as it is."""

    priority: int | None = Field(None, ge=-MAX_PRIORITY, le=MAX_PRIORITY, description="The highest wins an overlap.")
    disabled: bool | None = Field(None, description="A disabled route frees its range for the others.")


# Profiles


@operation("GET", "/me/profiles", Tag.VPN, TokenScope.READ)
def list_profiles(call: Call, query: PageQuery) -> Page[ProfileAnswer]:
    """Your WireGuard profiles, one for each device of yours."""
    return page_of(query, call.view.profiles(), key_of, ProfileAnswer.of)


@operation("GET", "/me/profiles/{profile}", Tag.VPN, TokenScope.READ)
def show_profile(call: Call, profile: ProfileId) -> ProfileAnswer:
    """One of your profiles."""
    return ProfileAnswer.of(call.view.profile(profile))


@operation("GET", "/me/profiles/{profile}/configuration", Tag.VPN, TokenScope.READ)
async def show_configuration(call: Call, profile: ProfileId, query: WhichRanges) -> ConfigurationAnswer:
    """The WireGuard client's file, without the private key, which never leaves your device."""
    found = call.view.profile(profile)
    settings = await call.parts.client_settings()
    text = render_client_config(found, settings, private_ranges=not query.aliases_only)
    return ConfigurationAnswer(configuration=text)


@operation("POST", "/me/profiles", Tag.VPN, TokenScope.VPN, location="/me/profiles/{id}", problems=_CONFLICT)
async def create_profile(call: Call, body: NewProfile) -> ProfileAnswer:
    """Make a profile for a key pair that was made on your device."""
    profiles = call.services.profiles
    return ProfileAnswer.of(await profiles.create(call.actor, call.caller.person, body.name, body.public_key))


@operation("PUT", "/me/profiles/{profile}/key", Tag.VPN, TokenScope.VPN, resource=show_profile, problems=_CONFLICT)
async def rotate_key(call: Call, profile: ProfileId, body: NewKey) -> ProfileAnswer:
    """Replace the key pair: addresses and routes stay, the old key stops at once."""
    return ProfileAnswer.of((await call.services.profiles.rotate(call.actor, profile, body.public_key)).profile)


@operation("DELETE", "/me/profiles/{profile}", Tag.VPN, TokenScope.VPN, resource=show_profile)
async def revoke_profile(call: Call, profile: ProfileId) -> None:
    """Revoke a profile; its tunnel stops at once."""
    await call.services.profiles.revoke(call.actor, profile)


# Routes


@operation("GET", "/me/routes", Tag.VPN, TokenScope.READ)
def list_routes(call: Call, query: PageQuery) -> Page[RouteAnswer]:
    """Which plant networks you reach over VPN, in which state, and why."""
    routes = routes_of(call.view.snapshot, call.caller.person, call.parts.online(), call.now)
    return page_of(query, routes, lambda route: (route.subnet,), RouteAnswer.of)


@operation("GET", "/me/routes/{subnet}/preference", Tag.VPN, TokenScope.READ)
def show_preference(call: Call, subnet: SubnetId) -> PreferenceAnswer:
    """What you chose for one of your routes."""
    return PreferenceAnswer.of(call.view.preference(subnet))


@operation("PATCH", "/me/routes/{subnet}/preference", Tag.VPN, TokenScope.VPN, resource=show_preference)
async def change_preference(call: Call, subnet: SubnetId, body: PreferenceChange) -> PreferenceAnswer:
    """Choose which plant wins an overlap, or disable a route; it holds for all your profiles."""
    routes = call.services.routes
    chosen = await routes.choose(call.actor, call.caller.person, subnet, priority=body.priority, disabled=body.disabled)
    return PreferenceAnswer.of(chosen)


@operation("POST", "/me/routes/{subnet}/prefer", Tag.VPN, TokenScope.VPN, resource=show_preference)
async def prefer_route(call: Call, subnet: SubnetId) -> PreferenceAnswer:
    """Let this route win over all that it overlaps: the switch from one plant to the other."""
    return PreferenceAnswer.of(await call.services.routes.prefer(call.actor, call.caller.person, subnet))

"""Opens what both the running hub and its command line work with: keys, store, application services."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from plantgate_shared.errors import ConfigError

from . import keys
from .config import HubConfig
from .domain.pools import Pools
from .services import Context, Services
from .store import AesSealer, SqlStore, open_store


@dataclass(frozen=True)
class Opened:
    keys: keys.HubKeys
    store: SqlStore
    services: Services


@asynccontextmanager
async def open_services(config: HubConfig) -> AsyncIterator[Opened]:
    """Raises ConfigError, StoreUnavailable."""
    own = keys.load_or_create(config.keys.directory)
    pools = pools_of(config)
    store = await open_store(config.database.url, AesSealer(own.vault))
    try:
        reserved = frozenset({own.wireguard_users.public, own.wireguard_agents.public})
        yield Opened(own, store, Services(Context(store, pools, reserved_keys=reserved)))
    finally:
        await store.close()


def pools_of(config: HubConfig) -> Pools:
    """The configured pools as the domain takes them. Raises ConfigError."""
    pools = config.pools
    try:
        return Pools(pools.profiles, pools.transit, pools.aliases, pools.largest_plant_subnet)
    except ValueError as error:
        raise ConfigError(f"pools: {error}") from None

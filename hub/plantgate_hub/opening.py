"""Opens what both the running hub and its command line work with: keys, store, application services."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from . import keys
from .config import HubConfig
from .domain.clients import ClientSettings
from .domain.model import Scheme
from .mail import Outbox, SmtpMailer
from .proxy.rewrite import Place
from .services import Context, Services
from .store import AesSealer, SqlStore, open_store


@dataclass(frozen=True)
class Opened:
    keys: keys.HubKeys
    store: SqlStore
    services: Services

    async def client_settings(self, config: HubConfig) -> ClientSettings:
        """What is the same in every person's WireGuard file."""
        host = config.vpn.public_host or config.web.portal_host
        return ClientSettings(
            self.keys.wireguard_users.public,
            f"{host}:{config.vpn.users_port}",
            await self.store.ipv6_prefix(),
            self.services.context.pools,
            config.vpn.mtu,
        )


@asynccontextmanager
async def open_services(config: HubConfig) -> AsyncIterator[Opened]:
    """Raises ConfigError, StoreUnavailable."""
    own = keys.load_or_create(config.keys.directory)
    pools = config.pools.domain()
    store = await open_store(config.database.url, AesSealer(own.vault))
    try:
        reserved = frozenset({own.wireguard_users.public, own.wireguard_agents.public})
        portal = Place(Scheme.HTTPS.value, config.web.portal_host.lower(), config.web.public_port).origin
        outbox = Outbox(SmtpMailer(config.mail) if config.mail.host else None)
        context = Context(store, pools, reserved_keys=reserved, outbox=outbox, portal=portal)
        yield Opened(own, store, Services(context))
    finally:
        await store.close()

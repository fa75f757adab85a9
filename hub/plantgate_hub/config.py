"""The hub's configuration: every key with its default and its documentation."""

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Network
from pathlib import Path

from plantgate_shared.config import option
from plantgate_shared.errors import ConfigError

from .domain import pools
from .freshness import StalenessLimits

DEFAULT_PATH = Path("/etc/plantgate/hub.yaml")


@dataclass(frozen=True, slots=True)
class Pools:
    """Address pools; they never overlap each other, and no plant subnet may overlap one of them."""

    profiles: IPv4Network = option(
        IPv4Network("100.64.0.0/10"),
        "Tunnel addresses of people. The first host is the hub's own service address, which answers ping.",
    )
    transit: IPv4Network = option(
        IPv4Network("240.0.0.0/4"),
        "Prefixes that stand for plant subnets between hub and agents; people and plants never see them.",
    )
    aliases: IPv4Network = option(
        IPv4Network("198.18.0.0/15"),
        "Conflict-free prefixes under which people reach a plant whatever its real subnet is.",
    )
    largest_plant_subnet: int = option(16, "Shortest prefix length that a plant subnet may have.")

    def __post_init__(self) -> None:
        if not 8 <= self.largest_plant_subnet <= 30:
            raise ValueError("largest_plant_subnet must be between 8 and 30")
        try:
            self.domain()
        except ConfigError as error:
            raise ValueError(str(error)) from None

    def domain(self) -> pools.Pools:
        """The pools as the domain takes them, which knows the rules among them."""
        return pools.Pools(self.profiles, self.transit, self.aliases, self.largest_plant_subnet)


@dataclass(frozen=True, slots=True)
class Database:
    url: str = option(
        "sqlite:////var/lib/plantgate-hub/hub.db",
        "sqlite:////absolute/path for one node, postgresql://user@host/name for many.",
    )
    no_new_sessions_after: float = option(
        60.0, "Seconds without an answer of the database after which nobody new is let in: no sign-in, no device page."
    )
    end_sessions_after: float = option(
        900.0,
        "Seconds without an answer after which everything ends: device pages and VPN stop until it answers again.",
    )

    def __post_init__(self) -> None:
        if not 1 <= self.no_new_sessions_after <= self.end_sessions_after:
            raise ValueError("no_new_sessions_after must be at least 1 and at most end_sessions_after")

    def limits(self) -> StalenessLimits:
        return StalenessLimits(self.no_new_sessions_after, self.end_sessions_after)


@dataclass(frozen=True, slots=True)
class Keys:
    directory: Path = option(
        Path("/var/lib/plantgate-hub-keys"),
        "Where the hub's keys live: apart from the database and its backups, mode 0700. Made at first start.",
    )


@dataclass(frozen=True, slots=True)
class Tls:
    certificate: Path | None = option(
        None,
        "PEM chain for the portal's and the devices' host names. Without one the hub makes a development CA\n"
        "and certificate in the keys directory.",
    )
    key: Path | None = option(None, "PEM private key of `certificate`.")
    load_balancer_certificates: tuple[Path, ...] = option(
        (), "PEM certificates of load balancers that end TLS in front of this hub; agents accept these too."
    )

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key belong together; set both or neither")


@dataclass(frozen=True, slots=True)
class Web:
    listen: str = option("0.0.0.0", "Address for HTTPS: portal, device pages, agents' tunnels.")  # noqa: S104  a public service
    port: int = option(443, "TCP port to listen on.")
    public_port: int = option(443, "Port that people's browsers use, where it differs (port forward, load balancer).")
    portal_host: str = option("portal.localhost", "Host name of the portal.")
    devices_domain: str = option(
        "devices.localhost",
        "Domain under which every device page has a host name of its own. It must not be the portal's domain\n"
        "or a parent or child of it, so that device pages and portal are different sites to a browser.",
    )

    def __post_init__(self) -> None:
        for port in (self.port, self.public_port):
            if not 0 < port < 65536:
                raise ValueError(f"{port} is not a TCP port")
        portal, devices = self.portal_host.lower(), self.devices_domain.lower()
        if portal == devices or portal.endswith("." + devices) or devices.endswith("." + portal):
            raise ValueError(f"devices_domain {devices!r} and portal_host {portal!r} must not lie within each other")


@dataclass(frozen=True, slots=True)
class Vpn:
    enabled: bool = option(True, "Carry VPN traffic on this node (needs root or CAP_NET_ADMIN, nftables, WireGuard).")
    public_host: str = option(
        "", "Host name or address that clients and agents dial for WireGuard over UDP. Empty: the portal's host name."
    )
    users_port: int = option(51820, "UDP port of pg-users, which technicians dial.")
    agents_port: int = option(51821, "UDP port of pg-agents, which gateways dial.")
    mtu: int = option(1380, "MTU inside the tunnels; 1380 fits PPPoE, IPv6 and most mobile networks outside.")
    verify_interval: float = option(30.0, "Seconds between full verifications of the kernel against the store.")

    def __post_init__(self) -> None:
        if self.users_port == self.agents_port:
            raise ValueError("users_port and agents_port must differ")
        if not 1280 <= self.mtu <= 9000:
            raise ValueError("mtu must be between 1280 and 9000")


class MailSecurity(StrEnum):
    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Mail:
    host: str = option(
        "", "SMTP server that takes the hub's mail. Empty: no mail is sent, and links are shown to whoever makes them."
    )
    port: int = option(587, "Its TCP port: 587 with starttls, 465 with tls, 25 for a relay on this host.")
    security: MailSecurity = option(
        MailSecurity.STARTTLS, "starttls, tls (from the first byte), or none (for a relay on this host only)."
    )
    user: str = option("", "Name to sign in with at the mail server. Empty: without signing in.")
    password_file: Path | None = option(None, "File whose first line is the password of `user`.")
    sender: str = option("", "Address that the hub's mail comes from.")

    def __post_init__(self) -> None:
        if self.host and "@" not in self.sender:
            raise ValueError("sender must be an e-mail address where a mail host is set")
        if bool(self.user) != (self.password_file is not None):
            raise ValueError("user and password_file belong together; set both or neither")
        if self.user and self.security is MailSecurity.NONE:
            raise ValueError("with security none the password would travel in the clear; use starttls or tls")
        if not 0 < self.port < 65536:
            raise ValueError(f"{self.port} is not a TCP port")


@dataclass(frozen=True, slots=True)
class Log:
    level: str = option("info", "debug, info, warning or error.")
    json: bool = option(True, "One JSON object a line; false for readable lines on a terminal.")

    def __post_init__(self) -> None:
        if self.level not in ("debug", "info", "warning", "error"):
            raise ValueError("log level must be debug, info, warning or error")


@dataclass(frozen=True, slots=True)
class HubConfig:
    name: str = option("hub", "Name of this hub in the tunnel handshake; agents pin it together with its key.")
    web: Web = option(Web, "HTTPS: portal, device pages, agents' tunnels.")
    vpn: Vpn = option(Vpn, "The VPN data plane.")
    database: Database = option(Database, "Where people, plants and permissions are stored.")
    keys: Keys = option(Keys, "The hub's private keys.")
    tls: Tls = option(Tls, "Certificates.")
    pools: Pools = option(Pools, "Address pools.")
    mail: Mail = option(Mail, "Mail to people: invitations, links for a new password, news about their account.")
    log: Log = option(Log, "Logging.")

"""Throttling of guesses, pure: leaky buckets per key that slow an attacker and never lock anybody out for good.

Each key owns a bucket (GCRA): `burst` tries at once, then one more every `interval` seconds. A try is taken *before*
the check, so that parallel guesses cannot slip through, and given back when the check succeeds.

Who shares a bucket decides who can harm whom (see `password_keys`):

- a browser that signed in to the account before has a bucket of its own there, so strangers' guesses never slow it;
- strangers share one bucket per account and address, and a larger one per account, which caps a guessing botnet;
- each address has one for all accounts, against password spraying.

Whoever guesses for hours can keep the buckets of *strangers* full, and so the owner out of a browser that is new. Known
browsers go on, and a link for a new password makes the browser that follows it a known one: nobody is locked out for
good. The second factor's bucket is reached with the right password only, so a new password frees it within minutes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network


@dataclass(frozen=True, slots=True)
class Limit:
    burst: int
    interval: float
    """Seconds until one more try is allowed."""


@dataclass(frozen=True, slots=True)
class Key:
    """One bucket: what is counted, for whom."""

    limit: Limit
    name: str


KNOWN_BROWSER = Limit(burst=10, interval=30.0)
STRANGER = Limit(burst=5, interval=60.0)
ACCOUNT = Limit(burst=50, interval=10.0)
ADDRESS = Limit(burst=30, interval=10.0)
# A code is one of a million and three are valid at a time: 1 try in 5 min is 0.09 % a day for a thief of the password.
TOTP = Limit(burst=10, interval=300.0)
RESET_ADDRESS = Limit(burst=10, interval=60.0)
RESET_ACCOUNT = Limit(burst=3, interval=600.0)
"""Letters to one account."""

MAX_KEYS = 50_000
"""Bound on memory; beyond it the emptiest buckets are forgotten first."""
MAX_ACCOUNT = 254
"""Characters of an account's name that count, as many as an e-mail address has (RFC 5321): forms hold much more."""


class Throttle:
    """The buckets. `now` is any clock in seconds that does not go back."""

    def __init__(self, max_keys: int = MAX_KEYS) -> None:
        self._full_at: dict[str, float] = {}  # GCRA's theoretical arrival time: when the bucket is empty again
        self._max_keys = max_keys

    def take(self, keys: Sequence[Key], now: float) -> float:
        """Count one try against all `keys`; 0.0, or the seconds to wait when one is used up (then none is counted)."""
        wait = max((self._wait(key, now) for key in keys), default=0.0)
        if wait > 0:
            return wait
        for key in keys:
            self._full_at[key.name] = max(self._full_at.get(key.name, now), now) + key.limit.interval
        if len(self._full_at) > self._max_keys:
            self._shrink(now)
        return 0.0

    def give_back(self, keys: Iterable[Key]) -> None:
        """The try was no guess."""
        for key in keys:
            if key.name in self._full_at:
                self._full_at[key.name] -= key.limit.interval

    def _wait(self, key: Key, now: float) -> float:
        full_at = max(self._full_at.get(key.name, now), now)
        return full_at + key.limit.interval - key.limit.burst * key.limit.interval - now

    def _shrink(self, now: float) -> None:
        live = sorted(((at, name) for name, at in self._full_at.items() if at > now), reverse=True)
        self._full_at = {name: at for at, name in live[: self._max_keys // 2]}


def password_keys(account: str, address: str, known_browser: str) -> tuple[Key, ...]:
    """The buckets of a password try; `known_browser` is empty for a stranger."""
    if known_browser:
        return (Key(KNOWN_BROWSER, f"known:{known_browser}"),)
    place, account = network_of(address), account[:MAX_ACCOUNT]
    return (
        Key(STRANGER, f"stranger:{account}:{place}"),
        Key(ACCOUNT, f"account:{account}"),
        Key(ADDRESS, f"address:{place}"),
    )


def reset_keys(account: str, address: str) -> tuple[tuple[Key, ...], tuple[Key, ...]]:
    """The buckets of asking for a link to set a new password: the address's, and the account's.

    They are taken one after the other: whoever asks too often is told so, but not that letters to one account are held
    back. The account's owner got those that were sent, so nobody is kept out by a stranger's asking.
    """
    return (Key(RESET_ADDRESS, f"reset-address:{network_of(address)}"),), (
        Key(RESET_ACCOUNT, f"reset:{account[:MAX_ACCOUNT]}"),
    )


def totp_keys(person: str, known_browser: str) -> tuple[Key, ...]:
    """The buckets of a TOTP try."""
    return (Key(TOTP, f"totp-known:{known_browser}" if known_browser else f"totp:{person}"),)


def network_of(address: str) -> str:
    """What counts as one address: an IPv4 address, or the /64 an IPv6 host can roam in."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ip_network((parsed, 64), strict=False))
    return str(parsed)

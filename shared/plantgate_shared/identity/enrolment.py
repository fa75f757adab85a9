"""Enrolment with a one-time code, both ends without I/O: the code alone authenticates hub and gateway to each other.

A code is 100 random bits, written as 20 characters of Crockford's base32 in four groups. HKDF makes two things of it:
a look-up id, under which the hub finds the code, and a MAC key. The hub keeps these two and never the code. The
gateway's request is MACed with the key (so only who holds the code can enrol), the hub's reply too (so only the hub
that made the code can answer): what each side then pins needs neither a CA nor a clock. The request names the TLS
certificate the gateway saw; the hub refuses one that is not its own before the code is used up.

    request  gateway -> hub   look-up id, name, identity key, WireGuard key, nonce, certificate seen, MAC
    reply    hub -> gateway   agent id, epoch, hub name, hub identity key, plant name, MAC (covers the request as well)
    failure  hub -> gateway   reason
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from plantgate_shared.errors import IdentityError, InvalidInput
from plantgate_shared.secret import Secret

from . import wire
from .handshake import MAX_EPOCH, NONCE_LENGTH, SHA256_LENGTH, PinnedHub
from .keys import KEY_LENGTH, among, decode_wireguard, same

PROTOCOL = "plantgate.enroll.v1"
"""Opens every MACed transcript and is HKDF's context."""
CONTENT_TYPE = "application/vnd.plantgate.enroll"

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base32: no I, L, O (read as 1, 1, 0) and no U."""
CODE_LENGTH = 20
GROUP = 5
ENTROPY_BYTES = 13
"""Random bytes to give to `make_code`; 100 of their 104 bits are used."""
_LOOKALIKES = str.maketrans({"I": "1", "L": "1", "O": "0"})
_SEPARATORS = str.maketrans("", "", "-–—_. \t\r\n\u00a0")


# --- the code --------------------------------------------------------------------------------------------------------


def make_code(entropy: bytes) -> str:
    """A new code in its four groups from `ENTROPY_BYTES` random bytes."""
    if len(entropy) != ENTROPY_BYTES:
        raise ValueError(f"a code is made of {ENTROPY_BYTES} random bytes")
    number = int.from_bytes(entropy) >> (8 * ENTROPY_BYTES - 5 * CODE_LENGTH)
    digits = [ALPHABET[(number >> shift) & 31] for shift in range(5 * (CODE_LENGTH - 1), -1, -5)]
    return _grouped("".join(digits))


def parse_code(text: str) -> str:
    """A code as a person typed it, in its canonical form: case, spaces, dashes, O for 0, I and L for 1 do not matter.

    Raises InvalidInput, which never repeats the code.
    """
    code = text.translate(_SEPARATORS).upper().translate(_LOOKALIKES)
    wrong = sorted({character for character in code if character not in ALPHABET})
    if wrong:
        shown = ", ".join(repr(character) for character in wrong[:5])
        raise InvalidInput(
            f"an enrolment code has no {shown}",
            hint="it consists of digits and of letters other than I, L, O and U",
        )
    if len(code) != CODE_LENGTH:
        raise InvalidInput(
            f"an enrolment code has {CODE_LENGTH} characters, this one {len(code)}",
            hint="copy it again from the portal; it has four groups of five",
        )
    return _grouped(code)


def _grouped(digits: str) -> str:
    return "-".join(digits[start : start + GROUP] for start in range(0, CODE_LENGTH, GROUP))


@dataclass(frozen=True, slots=True)
class CodeKeys:
    """What a code is worth to a program. The hub stores both and not the code."""

    lookup: str
    """32 hexadecimal digits; tells nothing about the code or the MAC key."""
    mac_key: Secret


def derive(code: str) -> CodeKeys:
    """Look-up id and MAC key of a code in any spelling. Raises InvalidInput."""
    # The code is uniformly random with 100 bits, so HKDF is enough: there is no small space to search.
    material = parse_code(code).replace("-", "").encode("ascii")
    return CodeKeys(_hkdf(material, "lookup", 16).hex(), Secret(_hkdf(material, "mac", 32)))


def _hkdf(material: bytes, purpose: str, length: int) -> bytes:
    info = f"{PROTOCOL} {purpose}".encode()
    return HKDF(algorithm=hashes.SHA256(), length=length, salt=None, info=info).derive(material)


# --- messages --------------------------------------------------------------------------------------------------------


class Reason(StrEnum):
    """Why an enrolment failed."""

    MALFORMED = "malformed"
    CODE = "code refused"
    CERTIFICATE = "certificate not the hub's own"
    GATEWAY = "gateway refused"
    BUSY = "too many attempts"
    UNAVAILABLE = "hub unavailable"
    HUB_PROOF = "hub not proved"


EXPLANATIONS: Mapping[Reason, tuple[str, str]] = {
    Reason.MALFORMED: (
        "the other side sent something that is no enrolment message",
        "check that the address is the hub's and that both ends run a supported release",
    ),
    # One wording for used, expired, unknown and wrongly proved: a stranger learns nothing from it.
    Reason.CODE: (
        "the hub does not accept this enrolment code",
        "it may have been used already, have expired or be mistyped: make a new one on the plant's page in the portal",
    ),
    Reason.CERTIFICATE: (
        "the TLS certificate that the gateway sees is not the hub's own: something in between ends TLS",
        "exempt the hub's host name from TLS inspection at the plant's firewall or proxy; the code was not used up",
    ),
    # Only ever told to who holds a valid code.
    Reason.GATEWAY: (
        "the hub cannot add this gateway to the plant",
        "this gateway is enrolled already, or the plant has as many gateways as it may have: remove the old one on the "
        "plant's page in the portal and try again; the code was not used up",
    ),
    Reason.BUSY: ("too many enrolment attempts", "wait a minute and try again; the code was not used up"),
    Reason.UNAVAILABLE: (
        "the hub cannot enrol right now",
        "try again in a moment with the same code",
    ),
    Reason.HUB_PROOF: (
        "the other side did not prove that it is the hub which made this code",
        "check the hub's address; if it is right, something in between answers in the hub's place",
    ),
}


class EnrolmentError(IdentityError):
    """Enrolment failed; `reason` for programs, cause and remedy for people."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        cause, remedy = EXPLANATIONS[reason]
        super().__init__(f"{cause}: {detail}" if detail else cause, hint=remedy)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Request:
    lookup: str
    name: str
    """What the gateway calls itself (its host name); shown to people, trusted for nothing."""
    identity_key: bytes
    wireguard_key: str
    nonce: bytes
    certificate_sha256: bytes
    mac: bytes

    def __post_init__(self) -> None:
        wire.need_length("identity_key", self.identity_key, KEY_LENGTH)
        wire.need_length("nonce", self.nonce, NONCE_LENGTH)
        wire.need_length("certificate_sha256", self.certificate_sha256, SHA256_LENGTH)
        wire.need_length("mac", self.mac, SHA256_LENGTH)
        decode_wireguard(self.wireguard_key)
        if not self.name.isprintable():
            raise ValueError("the name has characters that cannot be printed")


@dataclass(frozen=True, slots=True)
class Reply:
    agent_id: str
    epoch: int
    hub_name: str
    hub_key: bytes
    plant_name: str
    mac: bytes

    def __post_init__(self) -> None:
        wire.need_length("hub_key", self.hub_key, KEY_LENGTH)
        wire.need_length("mac", self.mac, SHA256_LENGTH)
        if not 0 <= self.epoch <= MAX_EPOCH:
            raise ValueError("epoch is out of range")


@dataclass(frozen=True, slots=True)
class Failure:
    reason: str


Message = Request | Reply | Failure
TAGS: Mapping[str, type[Message]] = {"request": Request, "reply": Reply, "failure": Failure}
_TAG_OF = {kind: tag for tag, kind in TAGS.items()}
_NO_MAC = bytes(SHA256_LENGTH)


def encode(message: Message) -> bytes:
    return wire.encode(_TAG_OF[type(message)], message)


def decode(data: bytes) -> Message:
    """Raises EnrolmentError (MALFORMED)."""
    try:
        tag, fields = wire.split(data)
        if tag not in TAGS:
            raise wire.malformed(f"its kind {tag[:20]!r} is unknown")
        return wire.build(TAGS[tag], fields)
    except wire.MalformedMessage as error:
        raise EnrolmentError(Reason.MALFORMED, error.message) from None


def _mac(key: Secret, *transcript: bytes) -> bytes:
    context = hmac.HMAC(key.reveal(), hashes.SHA256())
    context.update(wire.pack(PROTOCOL, *transcript))
    return context.finalize()


def _request_mac(key: Secret, request: Request) -> bytes:
    return _mac(key, encode(replace(request, mac=_NO_MAC)))


def _reply_mac(key: Secret, request: Request, reply: Reply) -> bytes:
    return _mac(key, encode(request), encode(replace(reply, mac=_NO_MAC)))


# --- the gateway's end -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What the gateway keeps: who it is, and which hub it belongs to."""

    agent_id: str
    epoch: int
    plant_name: str
    hub: PinnedHub


class GatewayEnrolment:
    """The gateway's end: `request` is sent as the body of `POST /enroll/v1`, the answer goes to `finish`.

    The same object may be sent again after a lost connection: the hub answers a repeated request of the same gateway
    as it did before.
    """

    def __init__(
        self,
        code: str,
        name: str,
        identity_key: bytes,
        wireguard_key: str,
        certificate_sha256: bytes,
        nonce: bytes,
    ) -> None:
        keys = derive(code)
        self._key = keys.mac_key
        shown = "".join(character for character in name if character.isprintable())[:60]
        unsigned = Request(keys.lookup, shown, identity_key, wireguard_key, nonce, certificate_sha256, _NO_MAC)
        self._request = replace(unsigned, mac=_request_mac(self._key, unsigned))
        self.request = encode(self._request)

    def finish(self, data: bytes) -> Enrolled:
        """What to keep. Raises EnrolmentError."""
        match decode(data):
            case Reply() as reply:
                if not same(reply.mac, _reply_mac(self._key, self._request, reply)):
                    raise EnrolmentError(Reason.HUB_PROOF)
                return Enrolled(reply.agent_id, reply.epoch, reply.plant_name, PinnedHub(reply.hub_name, reply.hub_key))
            case Failure(reason=reason):
                raise EnrolmentError(Reason(reason) if reason in set(Reason) else Reason.MALFORMED)
            case _:
                raise EnrolmentError(Reason.MALFORMED, "it answered with a request")


# --- the hub's end ---------------------------------------------------------------------------------------------------


def read_request(data: bytes) -> Request:
    """The gateway's request, not yet proved. Raises EnrolmentError (MALFORMED)."""
    message = decode(data)
    if not isinstance(message, Request):
        raise EnrolmentError(Reason.MALFORMED, "it is not a request")
    return message


def check_request(request: Request, mac_key: Secret, certificates: Collection[bytes]) -> None:
    """Raises EnrolmentError unless the request was made with the code and over one of the hub's own certificates.

    The code is to be used up only after this. `certificates`: SHA-256 sums, as for `handshake.HubHandshake`.
    """
    if not same(request.mac, _request_mac(mac_key, request)):
        raise EnrolmentError(Reason.CODE)
    if not among(request.certificate_sha256, certificates):
        raise EnrolmentError(Reason.CERTIFICATE)


def make_reply(request: Request, mac_key: Secret, agent_id: str, epoch: int, hub: PinnedHub, plant_name: str) -> bytes:
    """The hub's answer to a request that passed `check_request`. A plant's long name is cut to what fits."""
    plant_name = plant_name.encode()[: wire.MAX_TEXT].decode(errors="ignore")
    unsigned = Reply(agent_id, epoch, hub.name, hub.key, plant_name, _NO_MAC)
    return encode(replace(unsigned, mac=_reply_mac(mac_key, request, unsigned)))

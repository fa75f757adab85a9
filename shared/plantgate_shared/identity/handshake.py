"""The tunnel handshake, both ends without I/O: each side proves its pinned Ed25519 key over one transcript.

    agent                                                          hub
      | ClientHello  version, agent id, nonce, epoch, cert seen      |
      | -----------------------------------------------------------> |  version? certificate one of ours?
      |                    HubProof  hub name, hub key, nonce, cert  |
      | <----------------------------------------------------------- |  signature over the transcript
      | pinned key? name? certificate the same? signature?           |
      | AgentProof  signature over the transcript                    |
      | -----------------------------------------------------------> |  agent known, active, epoch? signature?
      |                        Welcome, or Refused  reason, epoch    |
      | <----------------------------------------------------------- |  signed as well

The transcript is the canonical msgpack of the protocol's name, the role of the signer, both nonces, both names, the
hub's key, the epoch and the SHA-256 of the TLS certificate that the agent saw. So nothing signed here means anything
in another session, in another direction, for another epoch, or through a box that ends TLS with a certificate of its
own. Neither a CA nor a clock takes part: a gateway that boots in 1970 attaches like any other.

A refusal is signed too, once there is a hello to tie it to: an agent may act on it (give up an old epoch) only if
`HandshakeError.proved` is true.

Each side is a table, `AGENT_TRANSITIONS` or `HUB_TRANSITIONS`: state and message give the next state when the checks
hold. Any other message, and any failed check, leads to FAILED.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from plantgate_shared.errors import IdentityError

from . import wire
from .keys import KEY_LENGTH, SIGNATURE_LENGTH, IdentityKey, among, fingerprint, same, verify

PROTOCOL = "plantgate.tunnel.v1"
"""The websocket subprotocol; opens every transcript."""
VERSION = 1
SUPPORTED_VERSIONS = frozenset({1})
NONCE_LENGTH = 32
SHA256_LENGTH = 32
MAX_EPOCH = 2**53


class Reason(StrEnum):
    """Why a handshake failed."""

    MALFORMED = "malformed"
    UNEXPECTED = "unexpected message"
    VERSION = "unsupported version"
    CERTIFICATE = "certificate not the hub's own"
    HUB_KEY = "wrong hub identity"
    HUB_NAME = "wrong hub name"
    SIGNATURE = "bad signature"
    UNKNOWN_AGENT = "unknown agent"
    INACTIVE = "agent not active"
    EPOCH = "old epoch"


EXPLANATIONS: Mapping[Reason, tuple[str, str]] = {
    Reason.MALFORMED: (
        "the other side sent something that is no handshake message",
        "check that both ends run a supported release and that nothing in between changes the traffic",
    ),
    Reason.UNEXPECTED: (
        "the other side sent a handshake message out of turn",
        "check that both ends run a supported release",
    ),
    Reason.VERSION: (
        "hub and agent have no version of the tunnel protocol in common",
        "update the older of the two",
    ),
    Reason.CERTIFICATE: (
        "the TLS certificate that the agent sees is not the hub's own: something in between ends TLS",
        "exempt the hub's host name from TLS inspection at the plant's firewall or proxy; if it is your own load "
        "balancer, list its certificate in the hub's configuration (tls.load_balancer_certificates)",
    ),
    Reason.HUB_KEY: (
        "the hub's identity key is not the one pinned when this agent was enrolled",
        "check that the agent dials the right hub; if the hub's identity was replaced on purpose, enrol the agent anew",
    ),
    Reason.HUB_NAME: (
        "the hub's name is not the one pinned when this agent was enrolled",
        "check that the agent dials the right hub; restore the hub's configured name, or enrol the agent anew",
    ),
    Reason.SIGNATURE: (
        "the other side did not prove its identity: the signature does not fit",
        "if it stays so, something changes the traffic in between, or the key files of this host and its enrolment "
        "do not belong together: enrol the agent anew",
    ),
    Reason.UNKNOWN_AGENT: (
        "the hub does not know this agent",
        "it was removed, or belongs to another hub: make a new enrolment code in the portal and enrol it anew",
    ),
    Reason.INACTIVE: (
        "this agent is not the active one of its plant",
        "another gateway serves the plant, or this one was retired: see the plant's page in the portal",
    ),
    Reason.EPOCH: (
        "this agent's epoch is old: the plant's agent was active elsewhere since",
        "nothing to do on the gateway: it stops forwarding and attaches again once the hub grants it the new epoch",
    ),
}
"""Cause and remedy, as a person at the gateway or the hub reads them."""


class HandshakeError(IdentityError):
    """The handshake failed. `proved`: the hub itself signed this refusal. `epoch`: the plant's epoch, 0 if not told."""

    def __init__(self, reason: Reason, detail: str = "", *, proved: bool = False, epoch: int = 0) -> None:
        cause, remedy = EXPLANATIONS[reason]
        super().__init__(f"{cause}: {detail}" if detail else cause, hint=remedy)
        self.reason = reason
        self.proved = proved
        self.epoch = epoch


# --- messages --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ClientHello:
    version: int
    agent_id: str
    nonce: bytes
    epoch: int
    certificate_sha256: bytes

    def __post_init__(self) -> None:
        wire.need_length("nonce", self.nonce, NONCE_LENGTH)
        wire.need_length("certificate_sha256", self.certificate_sha256, SHA256_LENGTH)
        if not 0 <= self.epoch <= MAX_EPOCH:
            raise ValueError("epoch is out of range")


@dataclass(frozen=True, slots=True)
class HubProof:
    hub_name: str
    hub_key: bytes
    nonce: bytes
    certificate_sha256: bytes
    """What the hub was told the agent saw: an agent that saw another one knows that something sits in between."""
    signature: bytes

    def __post_init__(self) -> None:
        wire.need_length("hub_key", self.hub_key, KEY_LENGTH)
        wire.need_length("nonce", self.nonce, NONCE_LENGTH)
        wire.need_length("certificate_sha256", self.certificate_sha256, SHA256_LENGTH)
        wire.need_length("signature", self.signature, SIGNATURE_LENGTH)


@dataclass(frozen=True, slots=True)
class AgentProof:
    signature: bytes

    def __post_init__(self) -> None:
        wire.need_length("signature", self.signature, SIGNATURE_LENGTH)


@dataclass(frozen=True, slots=True)
class Welcome:
    signature: bytes

    def __post_init__(self) -> None:
        wire.need_length("signature", self.signature, SIGNATURE_LENGTH)


@dataclass(frozen=True, slots=True)
class Refused:
    reason: str
    epoch: int
    signature: bytes
    """Empty where there was no hello that it could be tied to."""

    def __post_init__(self) -> None:
        if not 0 <= self.epoch <= MAX_EPOCH:
            raise ValueError("epoch is out of range")
        if self.signature:
            wire.need_length("signature", self.signature, SIGNATURE_LENGTH)


Message = ClientHello | HubProof | AgentProof | Welcome | Refused
TAGS: Mapping[str, type[Message]] = {
    "hello": ClientHello,
    "hub": HubProof,
    "agent": AgentProof,
    "welcome": Welcome,
    "refused": Refused,
}
_TAG_OF = {kind: tag for tag, kind in TAGS.items()}


def encode(message: Message) -> bytes:
    return wire.encode(_TAG_OF[type(message)], message)


def decode(data: bytes) -> Message:
    """Raises HandshakeError (MALFORMED, or VERSION for the hello of another version)."""
    try:
        tag, fields = wire.split(data)
        if tag not in TAGS:
            raise wire.malformed(f"its kind {tag[:20]!r} is unknown")
        if tag == "hello" and fields and type(fields[0]) is int and fields[0] not in SUPPORTED_VERSIONS:
            raise HandshakeError(Reason.VERSION, f"it speaks {fields[0]}, this side {_versions()}")
        return wire.build(TAGS[tag], fields)
    except wire.MalformedMessage as error:
        raise HandshakeError(Reason.MALFORMED, error.message) from None


def _versions() -> str:
    return ", ".join(str(version) for version in sorted(SUPPORTED_VERSIONS))


class Role(StrEnum):
    """Who signs, and for what; part of the transcript, so that no signature can stand in for another."""

    HUB = "hub"
    AGENT = "agent"
    WELCOME = "welcome"
    REFUSED = "refused"


def transcript(
    role: Role, hello: ClientHello, hub_name: str, hub_key: bytes, hub_nonce: bytes, *extra: str | int
) -> bytes:
    """The bytes that are signed."""
    return wire.pack(
        PROTOCOL,
        hello.version,
        str(role),
        hello.nonce,
        hub_nonce,
        hello.agent_id,
        hub_name,
        hub_key,
        hello.epoch,
        hello.certificate_sha256,
        *extra,
    )


# --- states ----------------------------------------------------------------------------------------------------------


class State(StrEnum):
    HELLO_SENT = "hello sent"
    EXPECT_HELLO = "expect hello"
    EXPECT_PROOF = "expect proof"
    PROOF_SENT = "proof sent"
    ESTABLISHED = "established"
    FAILED = "failed"


AGENT_TRANSITIONS: Mapping[State, Mapping[type[Message], State]] = {
    State.HELLO_SENT: {HubProof: State.PROOF_SENT, Refused: State.FAILED},
    State.PROOF_SENT: {Welcome: State.ESTABLISHED, Refused: State.FAILED},
    State.ESTABLISHED: {},
    State.FAILED: {},
}
HUB_TRANSITIONS: Mapping[State, Mapping[type[Message], State]] = {
    State.EXPECT_HELLO: {ClientHello: State.EXPECT_PROOF},
    State.EXPECT_PROOF: {AgentProof: State.ESTABLISHED},
    State.ESTABLISHED: {},
    State.FAILED: {},
}


class _Handshake:
    """What both ends share: the state, the outgoing messages, the look-up in the table."""

    transitions: Mapping[State, Mapping[type[Message], State]]

    def __init__(self, state: State) -> None:
        self.state = state
        self._outgoing: list[bytes] = []

    @property
    def established(self) -> bool:
        return self.state is State.ESTABLISHED

    def messages_to_send(self) -> list[bytes]:
        """What is to be sent now, oldest first; also after `receive_message` raised (the refusal)."""
        outgoing, self._outgoing = self._outgoing, []
        return outgoing

    def receive_message(self, data: bytes) -> None:
        """Raises HandshakeError; the handshake is over then, once what is to be sent has been sent."""
        state, self.state = self.state, State.FAILED  # whatever goes wrong below, nothing follows
        try:
            message = decode(data)
            following = self.transitions[state].get(type(message))
            if following is None:
                raise HandshakeError(Reason.UNEXPECTED, f"{_TAG_OF[type(message)]!r} while {state}")
            self._check(message)
        except HandshakeError as error:
            self._failed(error)
            raise
        self.state = following

    def _send(self, message: Message) -> None:
        self._outgoing.append(encode(message))

    def _check(self, message: Message) -> None:
        raise NotImplementedError

    def _failed(self, error: HandshakeError) -> None:
        """Called once with what went wrong, before it is raised."""


# --- the agent's end -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PinnedHub:
    """What an agent keeps of its hub from enrolment."""

    name: str
    key: bytes


class AgentHandshake(_Handshake):
    """The agent's end. `nonce` is 32 fresh random bytes; the hello is to be sent at once."""

    transitions = AGENT_TRANSITIONS

    def __init__(
        self, identity: IdentityKey, agent_id: str, epoch: int, hub: PinnedHub, certificate_sha256: bytes, nonce: bytes
    ) -> None:
        super().__init__(State.HELLO_SENT)
        self._identity = identity
        self._hub = hub
        self._hello = ClientHello(VERSION, agent_id, nonce, epoch, certificate_sha256)
        self._hub_nonce = b""
        self._send(self._hello)

    def _check(self, message: Message) -> None:
        match message:
            case HubProof():
                self._check_hub(message)
            case Welcome(signature=signature):
                if not verify(self._hub.key, signature, self._transcript(Role.WELCOME)):
                    raise HandshakeError(Reason.SIGNATURE, "the hub's welcome")
            case Refused():
                raise self._refusal(message)
            case _:
                raise AssertionError(message)

    def _check_hub(self, proof: HubProof) -> None:
        # The certificate first: behind a TLS-inspecting box that is the cause a person has to hear of.
        if not same(proof.certificate_sha256, self._hello.certificate_sha256):
            raise HandshakeError(Reason.CERTIFICATE)
        if not same(proof.hub_key, self._hub.key):
            raise HandshakeError(
                Reason.HUB_KEY, f"pinned is {fingerprint(self._hub.key)}, it shows {fingerprint(proof.hub_key)}"
            )
        self._hub_nonce = proof.nonce
        if proof.hub_name != self._hub.name:
            raise HandshakeError(Reason.HUB_NAME, f"pinned is {self._hub.name!r}, it says {proof.hub_name!r}")
        if not verify(self._hub.key, proof.signature, self._transcript(Role.HUB)):
            raise HandshakeError(Reason.SIGNATURE, "the hub's proof")
        self._send(AgentProof(self._identity.sign(self._transcript(Role.AGENT))))

    def _refusal(self, refused: Refused) -> HandshakeError:
        try:
            reason = Reason(refused.reason)
        except ValueError:
            return HandshakeError(Reason.MALFORMED, f"a refusal for an unknown reason {refused.reason[:40]!r}")
        signed = self._transcript(Role.REFUSED, refused.reason, refused.epoch)
        proved = verify(self._hub.key, refused.signature, signed)
        return HandshakeError(reason, "so says the hub", proved=proved, epoch=refused.epoch if proved else 0)

    def _transcript(self, role: Role, *extra: str | int) -> bytes:
        return transcript(role, self._hello, self._hub.name, self._hub.key, self._hub_nonce, *extra)


# --- the hub's end ---------------------------------------------------------------------------------------------------


class KnownAgent(Protocol):
    """What the hub has to know of an enrolled agent; `plantgate_hub.domain.model.Agent` is one."""

    @property
    def identity_key(self) -> bytes: ...
    @property
    def active(self) -> bool: ...
    @property
    def epoch(self) -> int: ...


_NO_HELLO = ClientHello(0, "", bytes(NONCE_LENGTH), 0, bytes(SHA256_LENGTH))


class HubHandshake(_Handshake):
    """The hub's end. `certificates` are the SHA-256 sums of its own and its load balancers' TLS certificates.

    `find_agent` looks an id up when the agent proves itself. After that `agent_id` and `epoch` say who attached.
    """

    transitions = HUB_TRANSITIONS

    def __init__(
        self,
        identity: IdentityKey,
        name: str,
        certificates: Collection[bytes],
        find_agent: Callable[[str], KnownAgent | None],
        nonce: bytes,
    ) -> None:
        super().__init__(State.EXPECT_HELLO)
        if len(nonce) != NONCE_LENGTH:
            raise ValueError(f"a nonce has {NONCE_LENGTH} bytes")
        self._identity = identity
        self._name = name
        self._certificates = tuple(certificates)
        self._find_agent = find_agent
        self._fresh = nonce
        self._hub_nonce = b""  # in transcripts only once it was sent
        self._hello = _NO_HELLO

    @property
    def agent_id(self) -> str:
        """Who says to attach; proved only once `established`."""
        return self._hello.agent_id

    @property
    def epoch(self) -> int:
        return self._hello.epoch

    def _check(self, message: Message) -> None:
        match message:
            case ClientHello():
                self._check_hello(message)
            case AgentProof():
                self._check_agent(message)
            case _:
                raise AssertionError(message)

    def _check_hello(self, hello: ClientHello) -> None:
        self._hello = hello
        if not among(hello.certificate_sha256, self._certificates):
            raise HandshakeError(Reason.CERTIFICATE)
        self._hub_nonce = self._fresh
        signature = self._sign(Role.HUB)
        self._send(HubProof(self._name, self._identity.public, self._fresh, hello.certificate_sha256, signature))

    def _check_agent(self, proof: AgentProof) -> None:
        agent = self._find_agent(self.agent_id)
        if agent is None:
            raise HandshakeError(Reason.UNKNOWN_AGENT)
        if not verify(agent.identity_key, proof.signature, self._transcript(Role.AGENT)):
            raise HandshakeError(Reason.SIGNATURE, "the agent's proof")
        if not agent.active:
            raise HandshakeError(Reason.INACTIVE, epoch=agent.epoch)
        if self.epoch < agent.epoch:
            raise HandshakeError(Reason.EPOCH, f"it has {self.epoch}, the plant {agent.epoch}", epoch=agent.epoch)
        self._send(Welcome(self._sign(Role.WELCOME)))

    def _failed(self, error: HandshakeError) -> None:
        signature = b""
        if self._hello is not _NO_HELLO:
            signature = self._sign(Role.REFUSED, str(error.reason), error.epoch)
        self._send(Refused(str(error.reason), error.epoch, signature))

    def _sign(self, role: Role, *extra: str | int) -> bytes:
        return self._identity.sign(self._transcript(role, *extra))

    def _transcript(self, role: Role, *extra: str | int) -> bytes:
        return transcript(role, self._hello, self._name, self._identity.public, self._hub_nonce, *extra)

"""Every limit of the tunnel protocol, with its why."""

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB

MAX_DATA = 64 * KIB
"""Payload of one DATA frame. A websocket message costs the same time whether it holds 1 byte or 16 KiB; above 64 KiB
nothing is gained, and a frame must not keep datagrams waiting for long on a thin uplink."""

MAX_DATAGRAMS = 64 * KIB
"""Payload of one DATAGRAMS frame: the kernel's UDP GSO and GRO batches never exceed 64 KiB."""

MAX_CONTROL = 256 * KIB
"""Encoded size of one control map. A plant with 4,000 web targets needs about 150 KiB."""

MAX_TARGET = 1 * KIB
"""Encoded size of an OPEN frame's target: a host name has at most 253 characters."""

MAX_REASON = 64
"""Characters of a reason, so that a newer peer can name one that we do not know yet."""

MAX_DETAIL = 512
"""Characters of GOAWAY's explanation; it goes into a log line."""

MAX_PING = 64
"""Bytes of a PING; they are echoed, so the peer must not be able to make us store much."""

MAX_MESSAGE = MAX_CONTROL + 1 * KIB
"""One websocket message: the largest frame and its header. The websocket libraries enforce it before we see it."""

MAX_ITEMS = 4096
"""Items of one array or map inside a frame. msgpack allocates room for what a header claims before it has seen the
items, so without this a short message could claim gigabytes."""

MAX_STREAM_ID = 2**31 - 1
"""Stream ids are never used again; at 100 streams a second they last for four months of one connection."""

MAX_CREDIT = 2**31 - 1
"""Credit that a sender may hold. RFC 9113 6.9.1 has the same bound, for the same reason: no overflow anywhere."""

MAX_PENDING_PONGS = 8
"""PONGs kept while the channel is blocked; older ones are dropped (RFC 6455 5.5.3 allows to answer the latest only)."""

MAX_REPLIES = 4096
"""Small frames kept while the channel is blocked. Ours are bounded by the number of streams; more than this means
that the peer opens streams and does not read what became of them."""

MAX_CONTROL_BACKLOG = 4 * MIB
"""Bytes of control messages kept while the channel is blocked."""

DATAGRAM_BURST = 4
"""DATAGRAMS frames in a row while stream data is waiting: datagrams go first, but a saturated VPN must not starve the
device pages."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one connection may hold in memory. **Both ends must use the same values**: they are part of the protocol's
    version, not negotiated. Tests use tiny ones.

    How they fit together: the receiver owns `connection_credit` bytes. Each of `max_streams` streams is guaranteed
    `stream_credit` of them, so a stream that is not read never takes what another one was promised. What is left
    (`spare`) enlarges the windows of streams whose reader is faster than the network.
    """

    max_streams: int = 256
    """Streams open at once, opened by either side. A browser opens six connections to a device page."""
    stream_credit: int = 64 * KIB
    """Credit of a new stream: what it may have in flight before the first CREDIT."""
    max_stream_credit: int = 4 * MIB
    """Window of a stream with a fast reader: 80 MB/s at a round trip of 50 ms, and both ends stay busy when the
    scheduler lets either wait for a few milliseconds."""
    connection_credit: int = 28 * MIB
    """Bytes received and not yet read, all streams together: 16 MiB guaranteed, 8 MiB spare, 4 MiB for the step."""
    connection_credit_step: int = 4 * MIB
    """Connection credit is given back in steps of this size, to save frames."""
    send_buffer: int = 256 * KIB
    """Bytes of one stream that wait for their turn on the channel: four full DATA frames a task switch."""
    datagram_buffer: int = 512 * KIB
    """Bytes of datagrams that wait for the channel; what does not fit is dropped, as a network would do. At 10 Mbit/s
    this is 0.4 s: more would only add delay."""

    @property
    def spare(self) -> int:
        """Bytes by which windows may grow in total."""
        return self.connection_credit - self.connection_credit_step - self.max_streams * self.stream_credit

    def __post_init__(self) -> None:
        if self.spare < 0:
            raise ValueError("connection_credit must cover max_streams * stream_credit + connection_credit_step")
        if self.max_stream_credit < self.stream_credit:
            raise ValueError("max_stream_credit must be at least stream_credit")

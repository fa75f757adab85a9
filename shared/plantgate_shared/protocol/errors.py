"""Errors of the tunnel protocol: who broke which rule, and what it costs.

    ProtocolError                 (plantgate_shared.errors)
    ├── LocalProtocolError        we misused the multiplexer: a bug on this side, nothing was sent
    └── RemoteProtocolError       the peer broke a rule that makes the whole connection unusable
        ├── MalformedFrame        not msgpack, or not the fields its type has
        ├── FrameTooLong          larger than a named limit allows
        ├── UnknownFrame          of a type that this version does not know
        ├── UnknownStream         for a stream that was never opened, or opened out of turn
        ├── CreditExceeded        more bytes than we gave credit for, or more credit than can be counted
        ├── Flooded               the peer asks for answers faster than it reads them
        └── BadControl            a control message that does not say what its type has to say

A fault that concerns one stream only is no exception: the stream is reset with `protocol error` and the rest runs on.
"""

from ..errors import ProtocolError


class LocalProtocolError(ProtocolError):
    http_status = 500


class RemoteProtocolError(ProtocolError):
    http_status = 502


class MalformedFrame(RemoteProtocolError):
    pass


class FrameTooLong(RemoteProtocolError):
    pass


class UnknownFrame(RemoteProtocolError):
    pass


class UnknownStream(RemoteProtocolError):
    pass


class CreditExceeded(RemoteProtocolError):
    pass


class Flooded(RemoteProtocolError):
    pass


class BadControl(RemoteProtocolError):
    pass

"""The error tree both deployables build on.

    PlantgateError
    ├── ConfigError            a configuration file or value is wrong
    ├── InvalidInput           a person or a peer gave something that cannot be accepted
    │   └── NotFound           it names something that does not exist (or that the asker may not know of)
    ├── Conflict               it is acceptable, but not beside what is already there
    ├── Denied                 the asker lacks a permission
    ├── IdentityError          the other side is not who it has to be
    ├── ProtocolError          the tunnel's peer broke the protocol (see protocol.errors)
    └── KernelError            the kernel refused an operation

Exceptions carry data; `str()` renders one sentence that names the cause, `hint` says what to do about it.
"""

from typing import ClassVar


class PlantgateError(Exception):
    """Base of all errors that a person can do something about."""

    exit_code: ClassVar[int] = 1
    """Exit status of a command line that ends with this error (sysexits.h where one fits)."""
    http_status: ClassVar[int] = 500
    """HTTP status of a request that ends with this error (RFC 9457 problem)."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class ConfigError(PlantgateError):
    exit_code = 78  # EX_CONFIG


class InvalidInput(PlantgateError):
    exit_code = 65  # EX_DATAERR
    http_status = 422


class NotFound(InvalidInput):
    http_status = 404


class Conflict(PlantgateError):
    exit_code = 65
    http_status = 409


class Denied(PlantgateError):
    exit_code = 77  # EX_NOPERM
    http_status = 403


class IdentityError(PlantgateError):
    exit_code = 76  # EX_PROTOCOL
    http_status = 401


class ProtocolError(PlantgateError):
    exit_code = 76
    http_status = 400


class KernelError(PlantgateError):
    exit_code = 71  # EX_OSERR

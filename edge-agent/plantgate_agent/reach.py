"""What to say when the hub cannot be reached: one sentence with cause and remedy."""

import socket
import ssl

from plantgate_shared.errors import PlantgateError

from .state import HubUrl


class HubUnreachable(PlantgateError):
    exit_code = 69  # EX_UNAVAILABLE


def unreachable(hub: HubUrl, error: BaseException) -> HubUnreachable:
    """One sentence for whatever kept us from the hub."""
    if isinstance(error, socket.gaierror):
        cause, hint = f"the name {hub.host!r} does not resolve", "check the address and the gateway's DNS"
    elif isinstance(error, ssl.SSLCertVerificationError):
        cause = f"its certificate is not accepted: {error.verify_message}"
        hint = "check ca_file and the gateway's clock, or remove ca_file: the pinned identity is enough"
    elif isinstance(error, ssl.SSLError):
        cause, hint = (
            f"it does not speak TLS as expected ({getattr(error, 'reason', None) or error})",
            "check address and port",
        )
    elif isinstance(error, TimeoutError):
        cause, hint = "it does not answer", f"check the address; the firewall must let TCP port {hub.port} out"
    elif isinstance(error, ConnectionRefusedError):
        cause, hint = "nothing listens there", "check address and port, and whether the hub runs"
    else:
        cause = getattr(error, "strerror", None) or str(error) or type(error).__name__
        hint = f"check the address; the firewall must let TCP port {hub.port} out"
    return HubUnreachable(f"cannot reach the hub {hub}: {cause}", hint=hint)

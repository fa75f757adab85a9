"""TLS towards the hub: encrypted, but trusted for the pinned identity alone, not for a CA or the clock."""

import ssl
from pathlib import Path

from plantgate_shared.errors import ConfigError


def client_context(ca_file: Path | None) -> ssl.SSLContext:
    """Without `ca_file` any certificate will do: the handshake inside proves the hub and names the certificate seen."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    try:
        context.load_verify_locations(cafile=str(ca_file))
    except FileNotFoundError:
        raise ConfigError(f"there is no file {ca_file}, which ca_file names") from None
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"cannot use ca_file {ca_file}: {error}", hint="it must hold CA certificates in PEM"
        ) from None
    return context

"""TOTP (RFC 6238), pure: which time step a code belongs to, and that no step is accepted twice."""

import base64
import hmac
import re

import pyotp

STEP_SECONDS = 30
WINDOW = 1
"""Steps of clock error accepted on either side (RFC 6238, 5.2)."""
SECRET_BYTES = 20
"""As long as the HMAC-SHA-1 output (RFC 4226, 4)."""

_CODE = re.compile(r"[0-9]{6}")


def encode_secret(raw: bytes) -> str:
    """Random bytes as the base32 text that authenticator apps take."""
    return base64.b32encode(raw).decode().rstrip("=")


def provisioning_uri(secret: str, account: str, issuer: str) -> str:
    """The otpauth:// address for a QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=account, issuer_name=issuer)


def code_at(secret: str, step: int) -> str:
    """The six digits of a time step."""
    return pyotp.TOTP(secret).generate_otp(step)


def matching_step(secret: str, code: str, now: float, last_used_step: int) -> int | None:
    """The time step that `code` belongs to, within the window and later than any used; None when there is none."""
    digits = re.sub(r"\s", "", code)
    if not _CODE.fullmatch(digits):
        return None
    current = int(now // STEP_SECONDS)
    found: int | None = None
    for step in range(current - WINDOW, current + WINDOW + 1):  # all of them: the time taken tells nothing
        if hmac.compare_digest(code_at(secret, step), digits) and step > last_used_step:
            found = step
    return found

"""What the hub writes to people: English and German in one letter, since nobody knows yet which one they read."""

# ruff: noqa: E501  sentences are easier to compare side by side than broken up

from datetime import UTC, datetime

from ..mail import Letter


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _letter(to: str, subject: str, english: str, german: str) -> Letter:
    return Letter(to, subject, f"{english}\n\n--\n\n{german}\n")


def invitation(to: str, organization: str, link: str, expires: float) -> Letter:
    until = _moment(expires)
    return _letter(
        to,
        f"Plantgate: {organization}",
        f"You are invited to join {organization} on Plantgate, remote access to plants.\n\n{link}\n\n"
        f"The link works once, until {until}. If you did not expect it, ignore it: nothing happens without you.",
        f"Sie sind eingeladen, {organization} auf Plantgate beizutreten, dem Fernzugriff auf Anlagen.\n\n{link}\n\n"
        f"Der Link gilt einmal, bis {until}. Wenn Sie ihn nicht erwarten, ignorieren Sie ihn: Ohne Sie geschieht nichts.",
    )


def password_reset(to: str, link: str, expires: float) -> Letter:
    until = _moment(expires)
    return _letter(
        to,
        "Plantgate: new password / neues Passwort",
        f"With this link you set a new password for your Plantgate account:\n\n{link}\n\n"
        f"It works once, until {until}. If you did not ask for it, ignore it: your password stays as it is.",
        f"Mit diesem Link setzen Sie ein neues Passwort für Ihr Plantgate-Konto:\n\n{link}\n\n"
        f"Er gilt einmal, bis {until}. Wenn Sie ihn nicht angefordert haben, ignorieren Sie ihn: Ihr Passwort bleibt.",
    )


def password_changed(to: str, at: float) -> Letter:
    moment = _moment(at)
    return _letter(
        to,
        "Plantgate: password changed / Passwort geändert",
        f"The password of your Plantgate account was changed on {moment}. All other sessions have ended. If that was not "
        "you, set a new one at once ('Forgot your password?') and tell your organization's Administrator.",
        f"Das Passwort Ihres Plantgate-Kontos wurde am {moment} geändert. Alle anderen Sitzungen sind beendet. Waren Sie das "
        "nicht, setzen Sie sofort ein neues („Passwort vergessen?“) und verständigen Sie den Administrator Ihrer "
        "Organisation.",
    )


def second_factor_reset(to: str, by: str, at: float) -> Letter:
    moment = _moment(at)
    return _letter(
        to,
        "Plantgate: second factor reset / Zweiter Faktor zurückgesetzt",
        f"{by} reset the second factor of your Plantgate account on {moment}. Your sessions have ended, and device pages "
        "stay closed until you set up a new one. If you did not ask for this, change your password and tell your "
        "organization's Administrator.",
        f"{by} hat am {moment} den zweiten Faktor Ihres Plantgate-Kontos zurückgesetzt. Ihre Sitzungen sind beendet, und "
        "Geräteseiten bleiben geschlossen, bis Sie einen neuen einrichten. Haben Sie nicht darum gebeten, ändern Sie Ihr "
        "Passwort und verständigen Sie den Administrator Ihrer Organisation.",
    )


def recovery_code_used(to: str, left: int, at: float) -> Letter:
    moment = _moment(at)
    return _letter(
        to,
        "Plantgate: recovery code used / Wiederherstellungscode benutzt",
        f"A recovery code took the place of your second factor on {moment}; {left} are left. If that was not you, change "
        "your password at once.",
        f"Am {moment} hat ein Wiederherstellungscode Ihren zweiten Faktor ersetzt; {left} sind übrig. Waren Sie das nicht, "
        "ändern Sie sofort Ihr Passwort.",
    )

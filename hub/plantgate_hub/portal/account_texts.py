"""The words of the pages about accounts; `catalogue` merges them with the others."""

# ruff: noqa: E501  sentences are easier to compare side by side than broken up

from ..domain.accounts import TOLD_AT_SIGN_IN, AccountEvent
from ..domain.model import OrgRole
from ..domain.scopes import TokenScope

TEXTS: dict[str, tuple[str, str]] = {
    "menu.account": ("Account", "Konto"),
    "action.reset": ("Ask for a new link", "Neuen Link anfordern"),
    "sign-in.forgot": ("Forgot your password?", "Passwort vergessen?"),
    "two-factor.lost": ("Lost your phone? Use a recovery code", "Telefon verloren? Wiederherstellungscode benutzen"),
    "account.title": ("Your account", "Ihr Konto"),
    "account.sign-in": ("Signing in", "Anmeldung"),
    "account.password": ("Password", "Passwort"),
    "account.password.text": (
        "Changing it ends all your other sessions.",
        "Eine Änderung beendet alle Ihre anderen Sitzungen.",
    ),
    "account.password.change": ("Change", "Ändern"),
    "account.two-factor": ("Two-factor authentication", "Zwei-Faktor-Anmeldung"),
    "account.two-factor.on": ("On, by an authenticator app", "Aktiv, mit einer Authenticator-App"),
    "account.two-factor.off": ("Off: device pages stay closed", "Aus: Geräteseiten bleiben geschlossen"),
    "account.two-factor.replace": ("Replace", "Ersetzen"),
    "account.recovery": ("Recovery codes", "Wiederherstellungscodes"),
    "account.recovery.left": ("Unused codes left: {count}", "Unbenutzte Codes: {count}"),
    "account.recovery.make": ("Make new codes", "Neue Codes erzeugen"),
    "sessions.title": ("Where you are signed in", "Wo Sie angemeldet sind"),
    "sessions.lead": (
        "End what you do not recognize, and change your password.",
        "Beenden Sie, was Sie nicht kennen, und ändern Sie Ihr Passwort.",
    ),
    "sessions.unknown": ("Unknown browser", "Unbekannter Browser"),
    "sessions.since": ("signed in", "angemeldet"),
    "sessions.seen": ("last used", "zuletzt benutzt"),
    "sessions.here": ("this session", "diese Sitzung"),
    "sessions.end": ("End", "Beenden"),
    "sessions.end-this": (
        "End the session of {browser}, signed in {moment}",
        "Sitzung von {browser} beenden, angemeldet {moment}",
    ),
    "sessions.end-others": ("End all other sessions", "Alle anderen Sitzungen beenden"),
    "notice.session-ended": (
        "Done. The device pages of ended sessions are closed too.",
        "Erledigt. Die Geräteseiten beendeter Sitzungen sind auch zu.",
    ),
    "notice.password-changed": (
        "Your password is changed, and all other sessions have ended.",
        "Ihr Passwort ist geändert, und alle anderen Sitzungen sind beendet.",
    ),
    "notice.second-factor-replaced": (
        "Your new second factor is active; the old one is worth nothing now.",
        "Ihr neuer zweiter Faktor ist aktiv; der alte gilt nicht mehr.",
    ),
    "news.title": ("News about your account", "Neues zu Ihrem Konto"),
    "news.lead": ("This happened since you last signed in:", "Das ist seit Ihrer letzten Anmeldung geschehen:"),
    "news.if-not-you": (
        "If you know nothing of it, change your password and tell your organization's Administrator.",
        "Wissen Sie davon nichts, ändern Sie Ihr Passwort und verständigen Sie den Administrator Ihrer Organisation.",
    ),
    "news.seen": ("I have seen it", "Zur Kenntnis genommen"),
    "confirm.title": ("Is it you?", "Sind Sie es?"),
    "confirm.lead": (
        "What comes next is sensitive, and you signed in a while ago.",
        "Was jetzt kommt, ist heikel, und Ihre Anmeldung liegt eine Weile zurück.",
    ),
    "confirm.wrong": ("The password is wrong.", "Das Passwort ist falsch."),
    "password.title": ("New password", "Neues Passwort"),
    "password.lead": ("All your other sessions end with it.", "Alle Ihre anderen Sitzungen enden damit."),
    "password.current": ("Current password", "Bisheriges Passwort"),
    "password.new": ("New password", "Neues Passwort"),
    "password.repeat": ("New password once more", "Neues Passwort noch einmal"),
    "password.rule": (
        "At least 12 characters. A few random words are easy to keep in mind.",
        "Mindestens 12 Zeichen. Ein paar zufällige Wörter merken sich leicht.",
    ),
    "password.rule-broken": (
        "The new password needs at least 12 characters, and at most 1024 bytes.",
        "Das neue Passwort braucht mindestens 12 Zeichen und höchstens 1024 Bytes.",
    ),
    "password.differ": ("The two new passwords are not the same.", "Die beiden neuen Passwörter sind nicht gleich."),
    "password.submit": ("Set password", "Passwort setzen"),
    "replace.title": ("Replace your second factor", "Zweiten Faktor ersetzen"),
    "replace.lead": (
        "The old one stays until the new one has proved that it works. Your other sessions end.",
        "Der alte gilt, bis der neue bewiesen hat, dass er funktioniert. Ihre anderen Sitzungen enden.",
    ),
    "replace.submit": ("Replace", "Ersetzen"),
    "recovery.lead": (
        "Each code takes the place of your second factor once, if your phone is lost. New codes end the old ones.",
        "Jeder Code ersetzt einmal Ihren zweiten Faktor, falls das Telefon verloren geht. Neue Codes beenden die alten.",
    ),
    "recovery.shown-once": (
        "Print these codes or write them down, and keep them apart from your phone. They are not shown again.",
        "Drucken Sie diese Codes aus oder schreiben Sie sie auf, und bewahren Sie sie getrennt vom Telefon auf. Sie werden nicht noch einmal gezeigt.",
    ),
    "recovery.kept": ("I have kept them", "Ich habe sie aufbewahrt"),
    "recover.title": ("Recovery code", "Wiederherstellungscode"),
    "recover.lead": (
        "Enter one of your recovery codes. It works once.",
        "Geben Sie einen Ihrer Wiederherstellungscodes ein. Er gilt einmal.",
    ),
    "recover.code": ("Recovery code", "Wiederherstellungscode"),
    "recover.wrong": ("This code is wrong or was used before.", "Dieser Code ist falsch oder wurde schon benutzt."),
    "recover.none-left": (
        "No code left? Your organization's Administrator or Moderator can reset your second factor; an Administrator's, a cloud operator.",
        "Kein Code übrig? Der Administrator oder Moderator Ihrer Organisation kann Ihren zweiten Faktor zurücksetzen; den eines Administrators ein Cloud-Betreiber.",
    ),
    "tokens.title": ("API tokens", "API-Token"),
    "tokens.lead": (
        "Keys for programs that act for you. They open no device pages.",
        "Schlüssel für Programme, die für Sie handeln. Sie öffnen keine Geräteseiten.",
    ),
    "tokens.manage": ("Manage", "Verwalten"),
    "tokens.none": ("You have no tokens.", "Sie haben keine Token."),
    "tokens.until": ("until", "bis"),
    "tokens.used": ("last used in the hour from", "zuletzt benutzt in der Stunde ab"),
    "tokens.unused": ("never used", "nie benutzt"),
    "tokens.revoke": ("Revoke", "Widerrufen"),
    "tokens.revoke-this": ("Revoke the token {name}", "Token {name} widerrufen"),
    "tokens.new": ("New token", "Neuer Token"),
    "tokens.name": ("Name", "Name"),
    "tokens.scopes": ("What it may be used for", "Wofür er benutzt werden darf"),
    "tokens.days": ("Days until it ends", "Tage bis zum Ende"),
    "tokens.make": ("Make token", "Token erzeugen"),
    "tokens.shown-once": (
        "Copy it now: it is not shown again.",
        "Kopieren Sie ihn jetzt: Er wird nicht noch einmal gezeigt.",
    ),
    "tokens.no-scope": (
        "Choose at least one purpose, and one of the times.",
        "Wählen Sie mindestens einen Zweck und eine der Laufzeiten.",
    ),
    "tokens.conflict": (
        "You have a token of this name, or as many as there can be.",
        "Sie haben schon einen Token dieses Namens oder so viele, wie es geben kann.",
    ),
    "name.bad": (
        "The name is empty, too long, or has invisible characters.",
        "Der Name ist leer, zu lang oder enthält unsichtbare Zeichen.",
    ),
    "invitation.title": ("Invitation", "Einladung"),
    "invitation.join": ("Join {organization}", "{organization} beitreten"),
    "invitation.as": ("For {email}, as {role}.", "Für {email}, als {role}."),
    "invitation.job": ("Job on all its plants: {job}.", "Aufgabe auf allen Anlagen: {job}."),
    "invitation.accept": ("Accept", "Annehmen"),
    "invitation.other-account": (
        "You are signed in as {email}. Sign out, then open the link again with the account that is invited.",
        "Sie sind als {email} angemeldet. Melden Sie sich ab und öffnen Sie den Link mit dem eingeladenen Konto noch einmal.",
    ),
    "invitation.has-account": ("I have an account", "Ich habe ein Konto"),
    "invitation.new": ("I have no account yet", "Ich habe noch kein Konto"),
    "invitation.name": ("Your name", "Ihr Name"),
    "invitation.make-account": ("Make account and join", "Konto anlegen und beitreten"),
    "invitation.exists": (
        "This address has an account. Sign in to accept the invitation.",
        "Diese Adresse hat ein Konto. Melden Sie sich an, um die Einladung anzunehmen.",
    ),
    "joined.title": ("Your account is ready", "Ihr Konto ist bereit"),
    "joined.text": (
        "Sign in with your e-mail address and the password you chose, then set up two-factor authentication.",
        "Melden Sie sich mit Ihrer E-Mail-Adresse und dem gewählten Passwort an und richten Sie dann die Zwei-Faktor-Anmeldung ein.",
    ),
    "link-void.title": ("This link does not work", "Dieser Link gilt nicht"),
    "link-void.text": (
        "It was used, withdrawn or has expired. Ask for a new one.",
        "Er wurde benutzt, zurückgezogen oder ist abgelaufen. Bitten Sie um einen neuen.",
    ),
    "reset.title": ("Forgot your password?", "Passwort vergessen?"),
    "reset.lead": (
        "We mail you a link to set a new one.",
        "Wir senden Ihnen einen Link, mit dem Sie ein neues setzen.",
    ),
    "reset.submit": ("Send link", "Link senden"),
    "reset.set": (
        "All your sessions end. Your second factor stays as it is.",
        "Alle Ihre Sitzungen enden. Ihr zweiter Faktor bleibt, wie er ist.",
    ),
    "reset-sent.title": ("Look into your mail", "Sehen Sie in Ihre E-Mails"),
    "reset-sent.text": (
        "If there is an account with this address, a link is on its way. It works once, for 30 minutes.",
        "Gibt es ein Konto mit dieser Adresse, ist ein Link unterwegs. Er gilt einmal, 30 Minuten lang.",
    ),
    "reset-without-mail.title": ("This hub sends no mail", "Dieser Hub sendet keine E-Mails"),
    "reset-without-mail.text": (
        "Ask whoever runs it for a link to set a new password.",
        "Bitten Sie den Betreiber um einen Link, mit dem Sie ein neues Passwort setzen.",
    ),
    "password-set.title": ("Your password is set", "Ihr Passwort ist gesetzt"),
    "password-set.text": ("Sign in with it.", "Melden Sie sich damit an."),
    "people.reset": ("Reset second factor", "Zweiten Faktor zurücksetzen"),
    "people.reset-of": ("Reset the second factor of {name}", "Zweiten Faktor von {name} zurücksetzen"),
    "people.invitations": ("Open invitations", "Offene Einladungen"),
    "people.no-invitations": ("None.", "Keine."),
    "people.withdraw": ("Withdraw", "Zurückziehen"),
    "people.withdraw-of": ("Withdraw the invitation of {email}", "Einladung an {email} zurückziehen"),
    "people.job": ("Job on all plants", "Aufgabe auf allen Anlagen"),
    "people.no-job": ("none", "keine"),
    "people.link.text": (
        "This hub sends no mail: pass the link on yourself. It works once, for 7 days, for this address only, and is not shown again.",
        "Dieser Hub sendet keine E-Mails: Geben Sie den Link selbst weiter. Er gilt einmal, 7 Tage lang, nur für diese Adresse, und wird nicht noch einmal gezeigt.",
    ),
}

_ROLES: dict[OrgRole, tuple[str, str]] = {
    OrgRole.ADMINISTRATOR: ("Administrator", "Administrator"),
    OrgRole.MODERATOR: ("Moderator", "Moderator"),
    OrgRole.MEMBER: ("Member", "Mitglied"),
    OrgRole.GUEST: ("Guest", "Gast"),
}
_SCOPES: dict[TokenScope, tuple[str, str]] = {
    TokenScope.READ: ("Look at what I may see", "Ansehen, was ich sehen darf"),
    TokenScope.VPN: ("My VPN profiles and routes", "Meine VPN-Profile und Routen"),
    TokenScope.PLANTS: ("Plants, devices, gateways", "Anlagen, Geräte, Gateways"),
    TokenScope.ACCESS: ("Members, jobs, cooperations", "Mitglieder, Aufgaben, Kooperationen"),
    TokenScope.PLATFORM: ("The platform (cloud operators)", "Die Plattform (Cloud-Betreiber)"),
}
_EVENTS: dict[AccountEvent, tuple[str, str]] = {
    AccountEvent.PASSWORD_RESET: (
        "A new password was set by a link",
        "Ein neues Passwort wurde über einen Link gesetzt",
    ),
    AccountEvent.SECOND_FACTOR_RESET: (
        "Your second factor was reset by another person",
        "Ihr zweiter Faktor wurde von einer anderen Person zurückgesetzt",
    ),
    AccountEvent.RECOVERY_CODE_USED: ("A recovery code was used", "Ein Wiederherstellungscode wurde benutzt"),
}

TEXTS |= {f"role.{role.name}": text for role, text in _ROLES.items()}
TEXTS |= {f"scope.{scope.name}": text for scope, text in _SCOPES.items()}
TEXTS |= {f"event.{event.name}": _EVENTS[event] for event in TOLD_AT_SIGN_IN}

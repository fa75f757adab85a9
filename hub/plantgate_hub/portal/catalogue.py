"""Every word of the portal in English and German, and which of the two a browser gets."""

# ruff: noqa: E501  sentences are easier to compare side by side than broken up

from collections.abc import Callable
from enum import StrEnum

from ..domain.model import Job, RouteReason, RouteState
from . import access_texts, account_texts, diagnosis_texts, home_texts, organization_texts, plant_texts


class Language(StrEnum):
    ENGLISH = "en"
    GERMAN = "de"


Translate = Callable[..., str]


def choose(accept_language: str) -> Language:
    """The language of ours that an Accept-Language header prefers; English when it names neither."""
    wishes: list[tuple[float, int, Language]] = []
    for position, item in enumerate(accept_language.split(",")[:20]):
        tag, _, parameters = item.strip().partition(";")
        language = tag.strip().lower().partition("-")[0]
        if language not in tuple(Language):
            continue
        quality = parameters.strip().removeprefix("q=")
        try:
            weight = float(quality) if quality else 1.0
        except ValueError:
            weight = 0.0
        if weight > 0:
            wishes.append((-weight, position, Language(language)))
    return min(wishes)[2] if wishes else Language.ENGLISH


def translator(language: Language) -> Translate:
    """`t("key", name=value)`: the text of a key, its fields filled in. An unknown key is a KeyError."""
    column = 0 if language is Language.ENGLISH else 1

    def translate(key: str, **fields: object) -> str:
        return TEXTS[key][column].format(**fields)

    return translate


TEXTS: dict[str, tuple[str, str]] = {
    "product.claim": ("Remote access to your plants", "Fernzugriff auf Ihre Anlagen"),
    "sign-in.title": ("Sign in", "Anmelden"),
    "sign-in.lead": ("Use your Plantgate account.", "Mit Ihrem Plantgate-Konto."),
    "sign-in.for": ("Sign in to open {host}.", "Melden Sie sich an, um {host} zu öffnen."),
    "sign-in.email": ("E-mail", "E-Mail"),
    "sign-in.password": ("Password", "Passwort"),
    "sign-in.submit": ("Sign in", "Anmelden"),
    "sign-in.wrong": ("E-mail or password is wrong.", "E-Mail oder Passwort ist falsch."),
    "sign-in.busy": (
        "The hub cannot check this right now. Try again in a few seconds.",
        "Der Hub kann das gerade nicht prüfen. Versuchen Sie es in ein paar Sekunden noch einmal.",
    ),
    "sign-in.signed-out": (
        "You are signed out, on all device pages too.",
        "Sie sind abgemeldet, auch auf allen Geräteseiten.",
    ),
    "throttled": (
        "Too many tries. Wait {seconds} s, then try again.",
        "Zu viele Versuche. Warten Sie {seconds} s und versuchen Sie es dann erneut.",
    ),
    "two-factor.title": ("Two-factor code", "Zweiter Faktor"),
    "two-factor.lead": (
        "Open your authenticator app and enter the six digits shown for Plantgate.",
        "Öffnen Sie Ihre Authenticator-App und geben Sie die sechs Ziffern für Plantgate ein.",
    ),
    "two-factor.code": ("Six-digit code", "Sechsstelliger Code"),
    "two-factor.submit": ("Continue", "Weiter"),
    "two-factor.wrong": (
        "This code is wrong or was used before. Wait for the next one; if that fails too, check your phone's clock.",
        "Dieser Code ist falsch oder wurde schon benutzt. Warten Sie auf den nächsten; gilt auch der nicht, prüfen Sie die "
        "Uhr Ihres Telefons.",
    ),
    "set-up.title": ("Set up two-factor authentication", "Zwei-Faktor-Anmeldung einrichten"),
    "set-up.lead": (
        "Device pages lead to live equipment, so opening one always needs a second factor.",
        "Geräteseiten führen zu laufenden Anlagen. Deshalb braucht jede einen zweiten Faktor.",
    ),
    "set-up.step-1": (
        "Install an authenticator app on your phone.",
        "Installieren Sie eine Authenticator-App auf Ihrem Telefon.",
    ),
    "set-up.step-2": ("Scan this code with it:", "Scannen Sie damit diesen Code:"),
    "set-up.qr": ("QR code with the secret key", "QR-Code mit dem geheimen Schlüssel"),
    "set-up.by-hand": ("Or type this key:", "Oder tippen Sie diesen Schlüssel ab:"),
    "set-up.step-3": (
        "Enter the six digits that the app shows.",
        "Geben Sie die sechs Ziffern ein, die die App zeigt.",
    ),
    "set-up.submit": ("Activate", "Aktivieren"),
    "set-up.wrong": (
        "This code does not match. Check that the phone's clock is set automatically, then enter the current code.",
        "Dieser Code passt nicht. Prüfen Sie, ob die Uhr des Telefons automatisch gestellt wird, und geben Sie den "
        "aktuellen Code ein.",
    ),
    "set-up.later": ("Not now", "Später"),
    "menu.sign-out": ("Sign out", "Abmelden"),
    "action.home": ("To your plants", "Zu Ihren Anlagen"),
    "action.retry": ("Try again", "Noch einmal versuchen"),
    "action.sign-in": ("Sign in", "Anmelden"),
    "action.set-up": ("Set up two-factor", "Zweiten Faktor einrichten"),
    "problem.detail": ("Detail", "Einzelheit"),
    # What can keep a device page from opening (proxy/problems.py): title and what to do
    "no-session.title": ("Not signed in", "Nicht angemeldet"),
    "no-session.text": (
        "This device page needs a session. Open it in a tab of its own to sign in.",
        "Diese Geräteseite braucht eine Anmeldung. Öffnen Sie sie in einem eigenen Tab, um sich anzumelden.",
    ),
    "not-available.title": ("No such device page", "Diese Geräteseite gibt es nicht"),
    "not-available.text": (
        "There is no device page at this address that you may open. If you expected one, ask for a job on its plant.",
        "Unter dieser Adresse gibt es keine Geräteseite, die Sie öffnen dürfen. Falls Sie eine erwarten, bitten Sie um eine "
        "Aufgabe auf der Anlage.",
    ),
    "no-permission.title": ("Your job does not allow this", "Ihre Aufgabe erlaubt das nicht"),
    "no-permission.text": (
        "Opening a device page needs Technical Manager or Operator on its plant. An Administrator or Moderator of the plant's "
        "organization can grant it.",
        "Eine Geräteseite öffnen dürfen Technical Manager und Operator ihrer Anlage. Ein Administrator oder Moderator der "
        "Organisation kann die Aufgabe vergeben.",
    ),
    "no-two-factor.title": ("Two-factor authentication is needed", "Zwei-Faktor-Anmeldung nötig"),
    "no-two-factor.text": (
        "Device pages open only with an active second factor, whatever the role. Set one up, then open the page again.",
        "Geräteseiten öffnen sich nur mit aktivem zweiten Faktor, gleich in welcher Rolle. Richten Sie ihn ein und öffnen Sie "
        "die Seite dann erneut.",
    ),
    "on-hold.title": ("Access to this plant is on hold", "Der Zugang zu dieser Anlage ist gesperrt"),
    "on-hold.text": (
        "The plant's owner ended all access for the time being. A Moderator or Administrator of its organization can give it "
        "free again.",
        "Der Betreiber der Anlage hat vorerst jeden Zugang beendet. Ein Moderator oder Administrator seiner Organisation kann "
        "ihn wieder freigeben.",
    ),
    "no-purpose.title": ("A reason is required", "Ein Grund ist nötig"),
    "no-purpose.text": (
        "The plant's organization asks why you connect. Declare a reason for this plant, then open the page again.",
        "Die Organisation der Anlage fragt, wozu Sie sich verbinden. Geben Sie für diese Anlage einen Grund an und öffnen Sie "
        "die Seite dann erneut.",
    ),
    "handover.title": ("This sign-in link does not fit", "Dieser Anmelde-Link passt nicht"),
    "handover.text": (
        "It was used before, is older than a minute, or was started in another browser. Open the device page again.",
        "Er wurde schon benutzt, ist älter als eine Minute oder stammt aus einem anderen Browser. Öffnen Sie die Geräteseite "
        "noch einmal.",
    ),
    "foreign-request.title": ("Refused: asked for by another site", "Abgelehnt: von einer anderen Seite verlangt"),
    "foreign-request.text": (
        "Another web page tried to use this device in your name. The device was not contacted.",
        "Eine andere Webseite wollte in Ihrem Namen auf dieses Gerät zugreifen. Das Gerät wurde nicht angesprochen.",
    ),
    "planted-cookie.title": ("Two session cookies", "Zwei Sitzungs-Cookies"),
    "planted-cookie.text": (
        "Your browser sent the session cookie twice, so somebody may have planted one. Delete this site's cookies, then open "
        "the page again.",
        "Ihr Browser hat das Sitzungs-Cookie doppelt gesendet; jemand könnte eines untergeschoben haben. Löschen Sie die "
        "Cookies dieser Seite und öffnen Sie sie erneut.",
    ),
    "bad-request.title": ("Not a request for this page", "Keine Anfrage an diese Seite"),
    "bad-request.text": ("The request's address is malformed.", "Die Adresse der Anfrage ist fehlerhaft."),
    "service-worker.title": ("Service workers are off", "Service Worker sind abgeschaltet"),
    "service-worker.text": (
        "Device pages may not install a service worker: it would outlive your permission.",
        "Geräteseiten dürfen keinen Service Worker installieren: Er würde Ihre Berechtigung überdauern.",
    ),
    "hub-store.title": ("The hub cannot open new pages right now", "Der Hub kann gerade keine neuen Seiten öffnen"),
    "hub-store.text": (
        "Its database does not answer. Pages that are open go on working; try again in a moment.",
        "Seine Datenbank antwortet nicht. Offene Seiten arbeiten weiter; versuchen Sie es gleich noch einmal.",
    ),
    "agent-offline.title": ("The plant is not connected", "Die Anlage ist nicht verbunden"),
    "agent-offline.text": (
        "The gateway on site has no connection to the hub right now. It reconnects by itself; if it stays away, check its "
        "power and Internet connection.",
        "Das Gateway vor Ort hat gerade keine Verbindung zum Hub. Es verbindet sich von selbst wieder; bleibt es weg, prüfen "
        "Sie Strom und Internet.",
    ),
    "agent-busy.title": ("The gateway is at its limit", "Das Gateway ist ausgelastet"),
    "agent-busy.text": (
        "It carries as many device connections as it can at this moment. Close tabs that you do not need, then try again.",
        "Es trägt im Augenblick so viele Geräteverbindungen, wie es kann. Schließen Sie nicht benötigte Tabs und versuchen "
        "Sie es erneut.",
    ),
    "device-refused.title": ("The device refuses the connection", "Das Gerät lehnt die Verbindung ab"),
    "device-refused.text": (
        "The gateway reaches the device, but nothing answers on this port. Is its web server on, and the port right?",
        "Das Gateway erreicht das Gerät, aber auf diesem Port antwortet nichts. Läuft der Webserver, und stimmt der Port?",
    ),
    "device-unreachable.title": ("The device does not answer", "Das Gerät antwortet nicht"),
    "device-unreachable.text": (
        "The plant is connected, but the device is not to be reached. It may be off, or have another address now.",
        "Die Anlage ist verbunden, das Gerät aber nicht zu erreichen. Vielleicht ist es aus oder hat eine andere Adresse.",
    ),
    "device-outside.title": ("Outside the gateway's boundary", "Außerhalb der Grenze des Gateways"),
    "device-outside.text": (
        "The gateway's own boundary does not allow this address. Only the installer can widen it, on site.",
        "Die Grenze, die das Gateway selbst einhält, erlaubt diese Adresse nicht. Nur der Installateur kann sie vor Ort "
        "erweitern.",
    ),
    "device-silent.title": ("The device takes too long", "Das Gerät braucht zu lange"),
    "device-silent.text": (
        "It accepted the connection but sent no answer in time. It may be busy; try again in a moment.",
        "Es hat die Verbindung angenommen, aber nicht rechtzeitig geantwortet. Vielleicht ist es beschäftigt; versuchen Sie es "
        "gleich noch einmal.",
    ),
    "device-broke-off.title": ("The device broke off", "Das Gerät hat abgebrochen"),
    "device-broke-off.text": (
        "It closed the connection before its answer was complete. It may be restarting.",
        "Es hat die Verbindung geschlossen, bevor die Antwort vollständig war. Vielleicht startet es gerade neu.",
    ),
    "device-reply.title": ("The device's answer makes no sense", "Die Antwort des Geräts ist unverständlich"),
    "device-reply.text": (
        "What it sent is not valid HTTP. Is it a web server that listens on this port, and HTTP rather than HTTPS?",
        "Was es gesendet hat, ist kein gültiges HTTP. Lauscht auf diesem Port ein Webserver, und spricht er HTTP oder HTTPS?",
    ),
    "certificate-changed.title": (
        "The device's certificate has changed",
        "Das Zertifikat des Geräts hat sich geändert",
    ),
    "certificate-changed.text": (
        "It is not the one that was seen at first, so this may not be the same device. A Technical Manager has to check and "
        "accept the new certificate before the page opens again.",
        "Es ist nicht das zuerst gesehene; womöglich ist es nicht dasselbe Gerät. Ein Technical Manager muss das neue "
        "Zertifikat prüfen und annehmen, bevor sich die Seite wieder öffnet.",
    ),
    "certificate-untrusted.title": (
        "The device's certificate is not trusted",
        "Dem Zertifikat des Geräts wird nicht vertraut",
    ),
    "certificate-untrusted.text": (
        "This target accepts only certificates of a known authority. A Technical Manager can choose to pin the device's own.",
        "Dieses Ziel nimmt nur Zertifikate bekannter Aussteller an. Ein Technical Manager kann stattdessen das eigene des "
        "Geräts festlegen.",
    ),
    "tls-failed.title": ("No secure connection to the device", "Keine sichere Verbindung zum Gerät"),
    "tls-failed.text": (
        "Hub and device found no common TLS version or cipher, or the port does not speak TLS.",
        "Hub und Gerät fanden keine gemeinsame TLS-Version oder Chiffre, oder der Port spricht kein TLS.",
    ),
    "redirect-elsewhere.title": ("The device points elsewhere", "Das Gerät verweist woandershin"),
    "redirect-elsewhere.text": (
        "It redirects to an address that is not one of its configured pages. Nothing was fetched from there. If it belongs to "
        "the device, a Technical Manager can add it as a web target.",
        "Es leitet auf eine Adresse um, die keine seiner eingerichteten Seiten ist. Von dort wurde nichts geholt. Gehört sie "
        "zum Gerät, kann ein Technical Manager sie als Webziel anlegen.",
    ),
    "portal-error.title": ("Not found", "Nicht gefunden"),
    "portal-error.text": ("There is no such page in the portal.", "Diese Seite gibt es im Portal nicht."),
}

_JOBS: dict[Job, tuple[str, str]] = {
    Job.VIEWER: ("Viewer", "Viewer"),
    Job.ASSET_MANAGER_COMMERCIAL: ("Asset Manager (Commercial)", "Asset Manager (kaufmännisch)"),
    Job.ASSET_MANAGER_TECHNICAL: ("Asset Manager (Technical)", "Asset Manager (technisch)"),
    Job.TECHNICAL_MANAGER: ("Technical Manager", "Technical Manager"),
    Job.OPERATOR: ("Operator", "Operator"),
}
_STATES: dict[RouteState, tuple[str, str]] = {
    RouteState.REACHABLE: ("reachable", "erreichbar"),
    RouteState.NOT_YET_REACHABLE: ("not yet reachable", "noch nicht erreichbar"),
    RouteState.CONFLICT: ("conflict", "Konflikt"),
    RouteState.DISABLED: ("disabled", "abgeschaltet"),
}
_REASONS: dict[RouteReason, tuple[str, str]] = {
    RouteReason.NONE: ("", ""),
    RouteReason.NO_GATEWAY: ("no gateway enrolled", "kein Gateway angemeldet"),
    RouteReason.AGENT_OFFLINE: ("agent offline", "Agent offline"),
    RouteReason.OUTSIDE_BOUNDARY: ("outside the agent's boundary", "außerhalb der Grenze des Agenten"),
    RouteReason.NOT_IN_A_SERVICE: ("not in a VPN service", "in keinem VPN-Dienst"),
    RouteReason.OVERLAP_LOST: (
        "another plant with this range has priority",
        "eine andere Anlage mit diesem Bereich hat Vorrang",
    ),
    RouteReason.DISABLED_BY_PERSON: ("disabled by you", "von Ihnen abgeschaltet"),
    RouteReason.ON_HOLD: ("access to the plant is on hold", "Zugang zur Anlage gesperrt"),
    RouteReason.PURPOSE_REQUIRED: ("a reason is required", "Grund der Verbindung fehlt"),
}

TEXTS |= account_texts.TEXTS
TEXTS |= {f"job.{job.name}": text for job, text in _JOBS.items()}
TEXTS |= {f"state.{state.name}": text for state, text in _STATES.items()}
TEXTS |= {f"reason.{reason.name}": text for reason, text in _REASONS.items()}
for _group in (
    home_texts.TEXTS,
    plant_texts.TEXTS,
    organization_texts.TEXTS,
    diagnosis_texts.TEXTS,
    access_texts.TEXTS,
):
    if twice := TEXTS.keys() & _group:
        raise ValueError(f"texts are defined twice: {sorted(twice)}")
    TEXTS |= _group

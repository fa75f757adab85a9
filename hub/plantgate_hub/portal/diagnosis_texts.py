"""The words of 'Why can't I reach it?': hops, results, causes with their remedies, and who can fix them."""

# ruff: noqa: E501  sentences are easier to compare side by side than broken up

from ..domain.diagnosis import Cause, Fixer, Hop, Result, Way

TEXTS: dict[str, tuple[str, str]] = {
    "why.link": ("Can't reach it?", "Nicht erreichbar?"),
    "why.link-device": ("Can't reach it? {device}", "Nicht erreichbar? {device}"),
    "why.link-route": ("Can't reach it? {network} at {plant}", "Nicht erreichbar? {network} in {plant}"),
    "why.title": ("Why can't I reach {device}?", "Warum erreiche ich {device} nicht?"),
    "why.lead": (
        "The hub follows the way step by step and asks on the plant's own network. That takes 3 to 15 seconds.",
        "Der Hub verfolgt den Weg Schritt für Schritt und fragt im Netz der Anlage nach. Das dauert 3 bis 15 Sekunden.",
    ),
    "why.look": ("Look now", "Jetzt nachsehen"),
    "why.again": ("Look again", "Noch einmal nachsehen"),
    "why.waiting": ("Looking: this takes a few seconds…", "Es wird nachgesehen, das dauert ein paar Sekunden …"),
    "why.busy": (
        "Other looks of yours are still under way. Wait for them, then look again.",
        "Andere Ihrer Prüfungen laufen noch. Warten Sie auf sie und sehen Sie dann noch einmal nach.",
    ),
    "why.fixer": ("Who can fix it:", "Wer es beheben kann:"),
    "why.fine": ("Nothing is in the way.", "Nichts steht im Weg."),
    "why.fine.text": (
        "Every step works from here. If it still fails for you, check your own computer: address, port, program.",
        "Von hier aus gelingt jeder Schritt. Klappt es bei Ihnen trotzdem nicht, prüfen Sie Ihren Rechner: Adresse, Port, Programm.",
    ),
    "why.unsure": (
        "No step is known to fail, but not all of them can be told.",
        "Kein Schritt scheitert nachweislich, aber nicht alle lassen sich beurteilen.",
    ),
}

_WAYS: dict[Way, tuple[str, str]] = {
    Way.VPN: ("Over VPN", "Über VPN"),
    Way.BROWSER: ("In the browser", "Im Browser"),
}
_HOPS: dict[Hop, tuple[str, str]] = {
    Hop.PERMISSION: ("Permission", "Berechtigung"),
    Hop.TUNNEL: ("Your VPN tunnel", "Ihr VPN-Tunnel"),
    Hop.ROUTE: ("Route to the plant's network", "Route zum Netz der Anlage"),
    Hop.AGENT: ("Gateway at the plant", "Gateway der Anlage"),
    Hop.BOUNDARY: ("Boundary of the gateway", "Grenze des Gateways"),
    Hop.NETWORK: ("Device on the plant's network", "Gerät im Netz der Anlage"),
    Hop.PORT: ("Port of the device", "Port des Geräts"),
    Hop.PAGE: ("Web page of the device", "Webseite des Geräts"),
}
_RESULTS: dict[Result, tuple[str, str]] = {
    Result.OK: ("ok", "in Ordnung"),
    Result.FAILED: ("failed", "gescheitert"),
    Result.UNKNOWN: ("cannot be told", "nicht feststellbar"),
    Result.NOT_TRIED: ("not tried", "nicht versucht"),
}
_FIXERS: dict[Fixer, tuple[str, str]] = {
    Fixer.NOBODY: ("nobody", "niemand"),
    Fixer.YOU: ("you", "Sie selbst"),
    Fixer.MODERATOR: (
        "a Moderator or Administrator of the plant's organization",
        "ein Moderator oder Administrator der Organisation der Anlage",
    ),
    Fixer.MANAGER: (
        "a Technical Manager or Operator of the plant",
        "ein Technical Manager oder Operator der Anlage",
    ),
    Fixer.ON_SITE: ("somebody at the plant", "jemand vor Ort"),
    Fixer.OPERATOR: ("the operator of this hub", "der Betreiber dieses Hubs"),
}
_CAUSES: dict[Cause, tuple[tuple[str, str], tuple[str, str]]] = {
    Cause.NONE: (("", ""), ("", "")),
    Cause.NO_JOB: (
        ("You have no job on this plant.", "Sie haben auf dieser Anlage keine Aufgabe."),
        ("Ask for one.", "Bitten Sie um eine."),
    ),
    Cause.JOB_TOO_LOW: (
        (
            "Your job on this plant does not include this way.",
            "Ihre Aufgabe auf dieser Anlage umfasst diesen Weg nicht.",
        ),
        (
            "VPN needs Operator, device pages need Technical Manager or Operator.",
            "VPN braucht Operator, Geräteseiten brauchen Technical Manager oder Operator.",
        ),
    ),
    Cause.NO_TWO_FACTOR: (
        (
            "Two-factor authentication is not set up on your account.",
            "Auf Ihrem Konto ist keine Zwei-Faktor-Anmeldung eingerichtet.",
        ),
        ("Set it up in your account.", "Richten Sie sie in Ihrem Konto ein."),
    ),
    Cause.ON_HOLD: (
        (
            "The plant's owner has ended all access for now.",
            "Der Betreiber der Anlage hat vorerst jeden Zugang beendet.",
        ),
        ("Ask when it is given free again.", "Fragen Sie, wann er wieder freigegeben wird."),
    ),
    Cause.NO_PURPOSE: (
        ("You have to say first why you connect.", "Sie müssen zuerst angeben, wozu Sie sich verbinden."),
        ("Declare a reason on the plant's page.", "Geben Sie auf der Seite der Anlage einen Grund an."),
    ),
    Cause.NO_PROFILE: (
        ("You have no VPN profile.", "Sie haben kein VPN-Profil."),
        ("Create one under My VPN.", "Legen Sie unter „Mein VPN“ eines an."),
    ),
    Cause.NEVER_CONNECTED: (
        ("Your VPN has never connected.", "Ihr VPN war noch nie verbunden."),
        (
            "Import the profile's file into WireGuard and switch the tunnel on. If it stays so, your network may block UDP.",
            "Importieren Sie die Datei des Profils in WireGuard und schalten Sie den Tunnel ein. Hilft das nicht, sperrt Ihr Netz vielleicht UDP.",
        ),
    ),
    Cause.NOT_CONNECTED: (
        ("Your VPN is not connected now.", "Ihr VPN ist gerade nicht verbunden."),
        ("Switch the tunnel on in WireGuard.", "Schalten Sie den Tunnel in WireGuard ein."),
    ),
    Cause.NOT_LOOKED_AT: (
        (
            "The hub cannot tell whether your VPN is connected.",
            "Der Hub kann nicht feststellen, ob Ihr VPN verbunden ist.",
        ),
        ("Look at WireGuard on your own computer.", "Sehen Sie in WireGuard auf Ihrem Rechner nach."),
    ),
    Cause.NO_SUBNET: (
        (
            "None of the plant's networks holds the device's address.",
            "Keines der Netze der Anlage enthält die Adresse des Geräts.",
        ),
        (
            "The network has to be added to the plant, or the device's address corrected.",
            "Das Netz muss bei der Anlage ergänzt oder die Adresse des Geräts berichtigt werden.",
        ),
    ),
    Cause.NOT_IN_A_SERVICE: (
        ("The plant is not in a VPN service.", "Die Anlage ist in keinem VPN-Dienst."),
        ("It has to be assigned to one.", "Sie muss einem zugeordnet werden."),
    ),
    Cause.OVERLAP_LOST: (
        (
            "Another plant with the same addresses has priority for you.",
            "Eine andere Anlage mit denselben Adressen hat bei Ihnen Vorrang.",
        ),
        (
            "Switch over under My routes, or use the alias address that stands there.",
            "Schalten Sie unter „Meine Routen“ um, oder benutzen Sie die Zweitadresse, die dort steht.",
        ),
    ),
    Cause.DISABLED: (
        ("You have switched this route off.", "Sie haben diese Route ausgeschaltet."),
        ("Switch it on under My routes.", "Schalten Sie sie unter „Meine Routen“ ein."),
    ),
    Cause.NO_GATEWAY: (
        ("No gateway is enrolled at the plant.", "Auf der Anlage ist kein Gateway angemeldet."),
        (
            "Make an enrolment code; the installer uses it on site.",
            "Ein Anmeldecode muss erzeugt werden; der Installateur benutzt ihn vor Ort.",
        ),
    ),
    Cause.AGENT_OFFLINE: (
        ("The plant's gateway is not connected.", "Das Gateway der Anlage ist nicht verbunden."),
        (
            "It comes back by itself. If not, check its power and Internet connection.",
            "Es kommt von selbst zurück. Falls nicht, sind Strom und Internet zu prüfen.",
        ),
    ),
    Cause.OUTSIDE_BOUNDARY: (
        (
            "The address lies outside what the gateway lets through.",
            "Die Adresse liegt außerhalb dessen, was das Gateway durchlässt.",
        ),
        (
            "Only the installer can widen its boundary, on the gateway itself.",
            "Nur der Installateur kann seine Grenze erweitern, auf dem Gateway selbst.",
        ),
    ),
    Cause.SILENT: (
        ("No device answers at this address.", "Unter dieser Adresse antwortet kein Gerät."),
        (
            "Check its power and network cable, and whether it has another address now.",
            "Strom und Netzwerkkabel prüfen, und ob es jetzt eine andere Adresse hat.",
        ),
    ),
    Cause.PRESENCE_UNKNOWN: (
        (
            "Whether the device is there cannot be told.",
            "Ob das Gerät da ist, lässt sich nicht feststellen.",
        ),
        ("Look again in a moment.", "Sehen Sie gleich noch einmal nach."),
    ),
    Cause.PORT_REFUSED: (
        ("The device refuses connections to this port.", "Das Gerät lehnt Verbindungen zu diesem Port ab."),
        (
            "Its web server is off, or listens on another port.",
            "Sein Webserver ist aus oder lauscht auf einem anderen Port.",
        ),
    ),
    Cause.PORT_SILENT: (
        (
            "The device is there, but does not answer on this port.",
            "Das Gerät ist da, antwortet aber auf diesem Port nicht.",
        ),
        (
            "A firewall of its own may drop the connection, or it is busy.",
            "Vielleicht verwirft eine eigene Firewall die Verbindung, oder es ist beschäftigt.",
        ),
    ),
    Cause.PAGE_FAILED: (
        ("The device does not answer as a web page does.", "Das Gerät antwortet nicht wie eine Webseite."),
        (
            "It may be restarting, or expects HTTPS where HTTP is set up (or the other way round).",
            "Vielleicht startet es neu, oder es erwartet HTTPS, wo HTTP eingerichtet ist (oder umgekehrt).",
        ),
    ),
    Cause.OTHER: (
        ("It cannot be told why.", "Der Grund lässt sich nicht feststellen."),
        ("Look again in a moment.", "Sehen Sie gleich noch einmal nach."),
    ),
}

TEXTS |= {f"way.{way.name}": text for way, text in _WAYS.items()}
TEXTS |= {f"hop.{hop.name}": text for hop, text in _HOPS.items()}
TEXTS |= {f"result.{result.name}": text for result, text in _RESULTS.items()}
TEXTS |= {f"fixer.{fixer.name}": text for fixer, text in _FIXERS.items()}
for _cause, (_what, _do) in _CAUSES.items():
    TEXTS |= {f"cause.{_cause.name}": _what, f"cause.{_cause.name}.do": _do}

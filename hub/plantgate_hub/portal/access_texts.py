"""The words of holds, of reasons for connecting, and of alias addresses: English and German."""

# ruff: noqa: E501  sentences are easier to compare side by side than broken up

TEXTS: dict[str, tuple[str, str]] = {
    "hold.end": ("End all access now", "Jetzt jeden Zugang beenden"),
    "hold.title": ("End all access to {plant}?", "Jeden Zugang zu {plant} beenden?"),
    "hold.text": (
        "VPN connections, running ones included, and open device pages end within a second. Nothing of it comes back until a Moderator or Administrator of your organization gives access free again.",
        "VPN-Verbindungen, auch laufende, und offene Geräteseiten enden innerhalb einer Sekunde. Nichts davon kommt zurück, bis ein Moderator oder Administrator Ihrer Organisation den Zugang wieder freigibt.",
    ),
    "hold.whom": ("For whom", "Für wen"),
    "hold.scope.EXTERNAL": ("External people", "Externe"),
    "hold.scope.EXTERNAL.text": ("everybody who is here by a cooperation", "alle, die über eine Kooperation hier sind"),
    "hold.scope.EVERYONE": ("Everyone", "Alle"),
    "hold.scope.EVERYONE.text": (
        "your own organization too, yourself included",
        "auch die eigene Organisation, Sie eingeschlossen",
    ),
    "hold.reason.hint": ("It is kept on the plant's record.", "Er bleibt in der Aufzeichnung der Anlage."),
    "hold.on.EXTERNAL": ("Access is on hold for external people", "Der Zugang ist für Externe gesperrt"),
    "hold.on.EVERYONE": ("Access is on hold for everyone", "Der Zugang ist für alle gesperrt"),
    "hold.by": ("by {name}", "durch {name}"),
    "hold.since": ("since", "seit"),
    "hold.restore": ("Give free again", "Wieder freigeben"),
    "done.access.ended": ("Access has ended.", "Der Zugang ist beendet."),
    "done.access.restored": ("Access is free again.", "Der Zugang ist wieder frei."),
    # Reasons for connecting
    "action.declare": ("Declare a reason", "Grund angeben"),
    "purpose.title": ("Why do you connect to {plant}?", "Wozu verbinden Sie sich mit {plant}?"),
    "purpose.lead": (
        "The plant's organization asks everybody. Your answer goes on the plant's record, with your name.",
        "Die Organisation der Anlage fragt jeden. Ihre Antwort kommt mit Ihrem Namen in die Aufzeichnung der Anlage.",
    ),
    "purpose.lead.free": (
        "Nobody has to say it here. Your answer goes on the plant's record, with your name.",
        "Hier muss das niemand angeben. Ihre Antwort kommt mit Ihrem Namen in die Aufzeichnung der Anlage.",
    ),
    "purpose.present": ("Declared now:", "Zurzeit angegeben:"),
    "purpose.replaces": ("A new reason replaces it.", "Ein neuer Grund ersetzt ihn."),
    "purpose.text": ("Reason or ticket", "Grund oder Ticket"),
    "purpose.text.hint": (
        "Such as “inverter 3 reports error 401”.",
        "Zum Beispiel „Wechselrichter 3 meldet Fehler 401“.",
    ),
    "purpose.lasts": ("For how long", "Für wie lange"),
    "purpose.hours": ("{hours} h", "{hours} h"),
    "purpose.minutes": ("{minutes} min", "{minutes} min"),
    "purpose.declare": ("Declare a reason", "Grund angeben"),
    "purpose.yours": ("Why you connect", "Wozu Sie sich verbinden"),
    "purpose.all": ("All my reasons", "Alle meine Gründe"),
    "purpose.mine": ("My reasons for connecting", "Meine Gründe für Verbindungen"),
    "purpose.mine.lead": (
        "What you declared and what holds now. Where a reason is required, ending it ends your connections to the plant.",
        "Was Sie angegeben haben und was jetzt gilt. Wo ein Grund nötig ist, beendet sein Ende Ihre Verbindungen zur Anlage.",
    ),
    "purpose.none": ("None at the moment.", "Zurzeit keiner."),
    "purpose.end": ("End", "Beenden"),
    "purpose.end-plant": ("End the reason for {plant}", "Grund für {plant} beenden"),
    "done.purpose.declared": ("Your reason is declared.", "Ihr Grund ist angegeben."),
    "done.purpose.ended": ("The reason has ended.", "Der Grund ist beendet."),
    # What an organization asks
    "org.settings": ("Settings", "Einstellungen"),
    "policy.title": ("Connections to our plants", "Verbindungen zu unseren Anlagen"),
    "policy.text": (
        "Who connects can be required to say why first, external people and our own alike. Reasons go on the plants' records.",
        "Wer sich verbindet, kann verpflichtet werden, zuerst den Grund anzugeben, Externe wie Eigene. Gründe kommen in die Aufzeichnungen der Anlagen.",
    ),
    "policy.required": ("A reason is", "Ein Grund ist"),
    "policy.yes": ("required", "nötig"),
    "policy.no": ("not required", "nicht nötig"),
    "policy.hours": ("Holds at most (hours)", "Gilt höchstens (Stunden)"),
    "policy.hours.hint": ("Between one minute and 168 hours.", "Zwischen einer Minute und 168 Stunden."),
    "done.policy.saved": ("The settings are saved.", "Die Einstellungen sind gespeichert."),
    # Alias addresses
    "alias.also": ("also at", "auch unter"),
    "alias.device": ("{address} at", "{address} unter"),
    "alias.devices": ("{count} devices at addresses of their own", "{count} Geräte unter eigenen Adressen"),
    "alias.copy": ("Copy", "Kopieren"),
    "alias.copy-address": ("Copy {address}", "{address} kopieren"),
}

"""What the application services answer to a form that they do not accept, in German.

The services speak English, as the command line and the API do. A message is known by its sentence with `{}` for what is
filled in; one that is not in this table is shown as it is and marked as English.
"""

# ruff: noqa: E501  sentences are easier to compare side by side than broken up

import re
from functools import cache

from .catalogue import Language

GERMAN: dict[str, str] = {
    # What people type
    "the {} is empty": "{}: Das Feld ist leer",
    "the {} is longer than {} characters": "{}: Höchstens {} Zeichen",
    "the {} contains invisible characters": "{}: Enthält unsichtbare Zeichen",
    "the reason is longer than {} characters": "Der Grund hat höchstens {} Zeichen",
    "{} is not an e-mail address": "{} ist keine E-Mail-Adresse",
    "the {} is no date and time": "{}: Das ist kein Zeitpunkt",
    "write it like 2031-05-17T18:00": "schreiben Sie ihn wie 2031-05-17T18:00",
    "the end lies in the past": "Das Ende liegt in der Vergangenheit",
    "the end does not come after the start": "Das Ende liegt nicht nach dem Beginn",
    "choose {}": "Wählen Sie aus: {}",
    "too many reasons were declared": "Zu viele Gründe wurden angegeben",
    "try again in {} seconds": "versuchen Sie es in {} Sekunden wieder",
    # Profiles and routes
    "this is no WireGuard public key: {}": "Das ist kein öffentlicher WireGuard-Schlüssel ({})",
    "it has 44 characters, as `wg pubkey` prints it": "er hat 44 Zeichen, wie `wg pubkey` ihn ausgibt",
    "this public key protects nothing (low order)": "Dieser öffentliche Schlüssel schützt nichts (kleine Ordnung)",
    "make a new key pair": "erzeugen Sie ein neues Schlüsselpaar",
    "this public key is in use already": "Dieser öffentliche Schlüssel ist schon in Gebrauch",
    "make a new key pair for each profile": "erzeugen Sie für jedes Profil ein eigenes Schlüsselpaar",
    "there is a profile {} already": "Es gibt schon ein Profil {}",
    "a person has at most {} profiles": "Eine Person hat höchstens {} Profile",
    "revoke one that is not used": "widerrufen Sie eines, das niemand benutzt",
    "there is no route to such a subnet": "Zu einem solchen Netz gibt es keine Route",
    # Setting a plant up
    "the organization has a plant {} already": "Die Organisation hat schon eine Anlage {}",
    "{} is not an IPv4 network": "{} ist kein IPv4-Netz",
    "write it like 192.168.1.0/24": "schreiben Sie es wie 192.168.1.0/24",
    "{} is not a network address": "{} ist keine Netzadresse",
    "did you mean {}?": "meinten Sie {}?",
    "{} is larger than /{}": "{} ist größer als /{}",
    "add the parts that hold devices as subnets of their own": "fügen Sie die Teile mit Geräten als eigene Netze hinzu",
    "{} is the default route, not a plant's subnet": "{} ist die Standardroute, kein Netz einer Anlage",
    "name the plant's own network": "nennen Sie das eigene Netz der Anlage",
    "{} overlaps the plant's subnet {}": "{} überlappt das Netz {} der Anlage",
    "{} holds the device {}": "In {} liegt das Gerät {}",
    "remove its devices first": "entfernen Sie zuerst seine Geräte",
    "{} is not an IPv4 address": "{} ist keine IPv4-Adresse",
    "{} is in none of the plant's subnets": "{} liegt in keinem Netz der Anlage",
    "add its subnet first": "fügen Sie zuerst sein Netz hinzu",
    "{} is no host of {}": "{} ist keine Geräteadresse in {}",
    "the plant has a device {} already": "Die Anlage hat schon ein Gerät {}",
    "{} is the device {} already": "{} ist schon das Gerät {}",
    "the plant has no such device": "Die Anlage hat dieses Gerät nicht",
    "{} is not a TCP port": "{} ist kein TCP-Port",
    "{} cannot be a host name's label": "{} kann kein Teil eines Hostnamens sein",
    "use letters, digits and single dashes, at most 63": "nehmen Sie Buchstaben, Ziffern und einzelne Bindestriche, höchstens 63",
    "the name {} is in use already": "Der Name {} ist schon vergeben",
    "names are unique over all plants; choose another": "Namen gibt es über alle Anlagen nur einmal; wählen Sie einen anderen",
    "{} cannot be a page's path": "{} kann kein Pfad einer Seite sein",
    "the plant has no open code of that id": "Diesen offenen Code hat die Anlage nicht",
    # People and jobs
    "a member has this address already": "Ein Mitglied hat diese Adresse schon",
    "change the member's role instead": "ändern Sie stattdessen die Rolle des Mitglieds",
    "this is the organization's only Administrator": "Das ist der einzige Administrator der Organisation",
    "make another one first": "ernennen Sie zuerst einen anderen",
    "the person was not granted that on the plant": "Diese Aufgabe hat die Person auf der Anlage nicht",
    # Cooperations and VPN services
    "choose one of your plants": "Wählen Sie eine Ihrer Anlagen",
    "there is no organization of this name": "Eine Organisation dieses Namens gibt es nicht",
    "ask the partner how it is written here": "fragen Sie den Partner, wie sie hier geschrieben wird",
    "the plant is the partner's own": "Die Anlage gehört dem Partner selbst",
    "the plant is shared with this organization already": "Die Anlage ist mit dieser Organisation schon geteilt",
    "end that cooperation first": "beenden Sie zuerst jene Kooperation",
    "the partner has not accepted the cooperation yet": "Der Partner hat die Kooperation noch nicht angenommen",
    "the partner has no member with this e-mail address": "Der Partner hat kein Mitglied mit dieser E-Mail-Adresse",
    "the cooperation has ended": "Die Kooperation ist beendet",
    "offer a new one": "bieten Sie eine neue an",
    "the person is not invited": "Die Person ist nicht eingeladen",
    "the organization has a VPN service {} already": "Die Organisation hat schon einen VPN-Dienst {}",
    "the default VPN service stays: it takes new plants": "Der Standarddienst bleibt: Er nimmt neue Anlagen auf",
    "the plant is not one of the organization's own": "Die Anlage gehört nicht der Organisation",
    "there is an organization {} already": "Es gibt schon eine Organisation {}",
}
_WORDS = {
    "name": "Name",
    "start": "Beginn",
    "end": "Ende",
    "a job": "eine Aufgabe",
    "a role": "eine Rolle",
    "the highest job": "die höchste Aufgabe",
}
"""What the services fill in themselves."""


def in_language(text: str, language: Language) -> str | None:
    """The message or hint in that language; None when it is only known in English."""
    if language is Language.ENGLISH:
        return text
    for pattern, german in _patterns():
        found = pattern.fullmatch(text)
        if found:
            return german.format(*(_WORDS.get(part, part) for part in found.groups()))
    return None


@cache
def _patterns() -> list[tuple[re.Pattern[str], str]]:
    """Those with the most fixed words first: `{} is …` fits much."""
    ordered = sorted(GERMAN.items(), key=lambda item: -len(item[0].replace("{}", "")))
    return [(re.compile("(.+?)".join(map(re.escape, text.split("{}"))), re.DOTALL), german) for text, german in ordered]

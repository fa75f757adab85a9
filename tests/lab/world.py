"""People, plants and permissions on a lab's hub, made through its command line: who signs in how, who holds what."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyotp

from tests.eventually import eventually

from .hosts import CommandFailed
from .lab import Lab
from .product import PORTAL, Console, Product
from .technician import Technician, keypair

ORGANIZATION = "Northwind Energy"
DOMAIN = "northwind.example"
SERVICE_ADDRESS = "100.64.0.1"
"""The hub's own address in the tunnel."""
PASSWORD = "correct horse battery staple"
PASSWORD_FILE = "/etc/plantgate/password"


@dataclass
class LabPerson:
    email: str
    name: str
    password: str
    totp_secret: str = ""
    role: str = ""
    """What they are, in words."""
    config: str = field(default="", repr=False)
    """Their WireGuard file, complete with the private key that was made on their own host."""

    def code(self, offset: int = 0) -> str:
        """The TOTP code of now; `offset` counts time steps, since a code works once."""
        return pyotp.TOTP(self.totp_secret).at(int(time.time()), counter_offset=offset)


class World:
    """What `build` made, and the changes that a demo or test makes to it."""

    def __init__(self, product: Product) -> None:
        self.product = product
        self.people: dict[str, LabPerson] = {}
        """By the part of the e-mail address before the @."""
        self.technicians: dict[str, Technician] = {}

        self._console: Console | None = None

    async def admin(self, *words: str) -> Any:
        """What `plantgate-hub admin WORD...` answers. Raises CommandFailed."""
        if self._console is None:
            self._console = await self.product.console()
        try:
            return await self._console.ask(*words)
        except CommandFailed:
            self._console = None
            raise

    async def close(self) -> None:
        if self._console:
            await self._console.close()

    # --- building ---

    async def build(self, plants: bool = True) -> None:
        """An organization, its administrator and its plants with subnets, devices and web targets."""
        self.product.hub_host.write(PASSWORD_FILE, PASSWORD + "\n", mode=0o600)
        await self.admin("bootstrap", f"root@{DOMAIN}", "--password-file", PASSWORD_FILE)
        (await self.person("admin", "Ada Administrator", totp=True)).role = f"administrator of {ORGANIZATION}"
        await self.admin("org", "create", ORGANIZATION, "--administrator", f"admin@{DOMAIN}")
        if plants:
            for plant in self.product.lab.topology.plants:
                await self.plant(plant.name)

    async def person(self, handle: str, name: str, *, totp: bool = False, member: bool = False) -> LabPerson:
        """An account; a member of the organization without any job unless something else is granted."""
        email = f"{handle}@{DOMAIN}"
        arguments = ["--org", ORGANIZATION] if member else []
        await self.admin("person", "create", email, name, *arguments, "--password-file", PASSWORD_FILE)
        person = LabPerson(email, name, PASSWORD)
        if totp:
            person.totp_secret = (await self.admin("person", "totp", email))["secret"]
        self.people[handle] = person
        return person

    async def plant(self, name: str) -> None:
        """A plant of the topology with its subnets, its inside devices, and their web pages as targets."""
        admin = self.admin
        await admin("plant", "create", ORGANIZATION, name)
        for network in self.product.plant(name).subnets:
            await admin("subnet", "add", name, network)
        for device in self.product.lab.topology.devices:
            if device.plant == name and device.inside:
                await admin("device", "add", name, device.name, device.address)
                if "web" in device.services:
                    label = f"{device.name}-{name}"
                    await admin("target", "add", f"{name}/{device.name}", label, "--scheme", "http")

    async def gateway(self, plant: str) -> float:
        """Enrol a plant's gateway with a one-time code and start its agent; the seconds until it is connected."""
        code = (await self.admin("enrolment-code", "create", plant))["code"]
        self.product.configure_agent(plant)
        await self.product.enroll(plant, code)
        return await self.product.start_agent(plant)

    async def technician(self, handle: str, host: str) -> Technician:
        """A stock WireGuard client on `host`: the key pair is made there, only the public key goes to the hub."""
        there = self.product.lab[host]
        private, public = await asyncio.to_thread(keypair, there)
        person = self.people[handle]
        made = await self.admin("profile", "create", person.email, "laptop", "--public-key", public)
        person.config = with_private_key(made["config"], private)
        self.technicians[handle] = Technician(there, person.config)
        return self.technicians[handle]

    # --- changing ---

    async def grant(self, handle: str, plant: str, job: str = "operator") -> None:
        await self.admin("grant", "give", self.people[handle].email, plant, job)

    async def revoke(self, handle: str, plant: str) -> None:
        await self.admin("grant", "revoke", self.people[handle].email, plant)

    async def prefer(self, handle: str, plant: str) -> None:
        """Where plants share a range, this one is the person's from now on."""
        await self.admin("route", "priority", self.people[handle].email, plant)

    async def routes(self, handle: str) -> dict[str, Mapping[str, Any]]:
        """A person's routes by plant (the last one of a plant with several)."""
        listed = await self.admin("route", "list", self.people[handle].email)
        return {route["plant"]: route for route in listed}

    # --- describing ---

    def describe(self, port: int = 443) -> dict[str, Any]:
        """What a lab's JSON document says of people and portal; `port` is where browsers find the hub."""
        return {
            "portal_url": f"https://{PORTAL}{'' if port == 443 else f':{port}'}/",
            "ca_file": str(self.product.copy_ca()),
            "people": [
                {
                    "name": person.name,
                    "email": person.email,
                    "password": person.password,
                    "totp_secret": person.totp_secret or None,
                    "role": person.role,
                    "host": self.technicians[handle].host.name if handle in self.technicians else None,
                }
                for handle, person in self.people.items()
            ],
        }


async def populate(lab: Lab, port: int, progress: Callable[[str], None]) -> World:
    """The product running on a lab: hub, every plant's agent, people of each kind, and technicians connected."""
    product = Product(lab)
    world = World(product)
    progress("starting the hub")
    product.configure_hub(web={"public_port": port})
    await product.start_hub()
    progress("making people, plants and devices")
    await world.build()
    plants = [plant.name for plant in lab.topology.plants]
    for plant in plants:
        progress(f"enrolling the gateway of {plant}")
        await world.gateway(plant)
    for handle, name, job in (
        ("tina", "Tina Technician", "operator"),
        ("max", "Max Manager", "technical-manager"),
        ("vera", "Vera Viewer", "viewer"),
    ):
        person = await world.person(handle, name, totp=True, member=True)
        person.role = f"{job} on {', '.join(plants)}"
        for plant in plants:
            await world.grant(handle, plant, job)
    progress("connecting the technician")
    technician = await world.technician("tina", lab.topology.technicians[0])
    technician.up()
    await eventually(lambda: technician.ping(SERVICE_ADDRESS), timeout=30)
    await world.close()
    lab.update(**world.describe(port))
    return world


def with_private_key(config: str, private: str) -> str:
    """The client's file as its owner completes it."""
    lines = [f"PrivateKey = {private}" if "PrivateKey =" in line else line for line in config.splitlines()]
    return "\n".join(lines) + "\n"

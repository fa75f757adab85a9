"""SNMP v2c on UDP port 161, community `public`: the system group, with the device's label as sysName."""

from pysnmp.carrier.asyncio.dgram import udp
from pysnmp.entity import config
from pysnmp.entity.engine import SnmpEngine
from pysnmp.entity.rfc3413 import cmdrsp, context

from .identity import SNMP_COMMUNITY, Identity


async def serve(identity: Identity) -> SnmpEngine:
    engine = SnmpEngine()
    transport = udp.UdpTransport().open_server_mode(("0.0.0.0", 161))
    config.add_transport(engine, udp.DOMAIN_NAME, transport)
    config.add_v1_system(engine, "readers", SNMP_COMMUNITY)
    config.add_vacm_user(engine, 2, "readers", "noAuthNoPriv", readSubTree=(1, 3, 6, 1, 2, 1))
    answers = context.SnmpContext(engine)
    builder = answers.get_mib_instrum().get_mib_builder()
    for name, value in (("sysName", identity.label), ("sysDescr", f"lab device {identity.label}")):
        (instance,) = builder.import_symbols("__SNMPv2-MIB", name)
        instance.syntax = instance.syntax.clone(value)
    cmdrsp.GetCommandResponder(engine, answers)
    cmdrsp.NextCommandResponder(engine, answers)
    return engine

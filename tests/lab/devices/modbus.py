"""Modbus TCP on port 502: holding registers 0.. spell the device's label, 100.. are measured values."""

from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from .identity import Identity

MEASURED = [2300, 2301, 2302, 5000]
"""Registers 100 to 103: three voltages in 0.1 V and the frequency in 0.01 Hz."""


async def serve(identity: Identity) -> ModbusTcpServer:
    data = [
        SimData(0, values=identity.registers, datatype=DataType.REGISTERS),
        SimData(100, values=MEASURED, datatype=DataType.REGISTERS),
    ]
    server = ModbusTcpServer(SimDevice(1, simdata=data), address=("0.0.0.0", 502))
    await server.serve_forever(background=True)
    return server

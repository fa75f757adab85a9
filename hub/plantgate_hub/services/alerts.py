"""What a plant's owners are told without asking: for now on the plant's record, and in the log."""

from plantgate_shared.logging import Event, get_logger

from ..connected import NEW_AFTER, Connection
from ..store.protocol import PlantEvent, PlantEventKind
from .context import Context

_LOOK_BACK = 100
"""Events of a plant among which an earlier alert about the same person is looked for."""


class Alerts:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def external_connection(self, connection: Connection, name: str) -> bool:
        """Somebody of that name connected to the plant by cooperation; whether that is news. Another node may have told
        it already, or this one before it started again."""
        store = self._context.store
        for event in await store.plant_events.of_plant(connection.plant, _LOOK_BACK):
            told = event.what is PlantEventKind.EXTERNAL_CONNECTED and event.person == connection.person
            if told and connection.since - event.at < NEW_AFTER:
                return False
        await store.plant_events.add(
            PlantEvent(
                connection.plant,
                connection.since,
                PlantEventKind.EXTERNAL_CONNECTED,
                connection.person,
                name,
                str(connection.means),
            )
        )
        get_logger().info(Event.EXTERNAL_CONNECTED, plant=connection.plant, person=connection.person)
        return True

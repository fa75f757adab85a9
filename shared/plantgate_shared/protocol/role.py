"""The two ends of a tunnel."""

from enum import Enum


class Role(Enum):
    """Which end of the connection this is. Both may open streams; ids must not collide."""

    CLIENT = 1
    """It dialled: its streams have odd ids."""
    SERVER = 2
    """It was dialled: its streams have even ids."""

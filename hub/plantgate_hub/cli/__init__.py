"""The hub's command line, `plantgate-hub`."""

from .main import main

__all__ = ["main"]

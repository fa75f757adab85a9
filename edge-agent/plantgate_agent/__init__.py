"""The edge agent: dials out from the plant, keeps to its own boundary."""

__version__ = "0.1.0"

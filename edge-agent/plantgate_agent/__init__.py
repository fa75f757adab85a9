"""The edge agent: dials out from the plant, keeps to its own boundary."""

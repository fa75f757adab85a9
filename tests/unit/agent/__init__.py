"""The edge agent's pure parts, one file each."""

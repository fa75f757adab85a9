"""Desired and observed network state as values, and the pure diff between them."""

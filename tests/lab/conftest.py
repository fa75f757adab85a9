"""Fixtures: labs that tests share. A lab belongs to its test process and ends with it, however that ends."""

from collections.abc import Iterator

import pytest

from .lab import Lab, lab_up


@pytest.fixture(scope="session")
def main_lab() -> Iterator[Lab]:
    """The main topology with its devices, without the product. Leave it as it was."""
    with lab_up("main") as lab:
        yield lab


@pytest.fixture
def bare_lab() -> Iterator[Lab]:
    """Technician, hub, gateway and device in a line, for one test alone."""
    with lab_up("bare") as lab:
        yield lab

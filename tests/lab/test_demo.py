"""The demo's checks as a test: the main job, end to end, with real packets."""

import pytest

from .demo import STEPS, Demo
from .lab import lab_up
from .report import Report


@pytest.mark.lab
@pytest.mark.kernel
async def test_every_check_of_the_demo_holds():
    report = Report()
    with lab_up("main") as lab:
        await Demo(lab, report).run()
    assert not report.failed, [f"{check.name}: {check.figure}" for check in report.failed]
    assert len(report.checks) > len(STEPS) * 5

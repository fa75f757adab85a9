"""Why can't I reach it? Hop by hop, up to the device."""

from ...domain.diagnosis import Way
from ...domain.model import DeviceId, TargetId
from ...domain.scopes import TokenScope
from ..answers_oversight import DiagnosisAnswer
from ..call import Call
from ..operation import Tag, operation
from ..problems import Problem

_TOO_MANY = frozenset({Problem.TOO_MANY})


@operation("GET", "/devices/{device}/diagnosis", Tag.DEVICES, TokenScope.READ, problems=_TOO_MANY)
async def diagnose_vpn(call: Call, device: DeviceId) -> DiagnosisAnswer:
    """Why you reach the device over VPN, or what is in the way.

    Slower than other answers: the plant's network is asked, which takes up to ten seconds. A few at once for each
    person.
    """
    return DiagnosisAnswer.of(Way.VPN, await call.diagnosis.vpn(call.caller.person, device))


@operation("GET", "/targets/{target}/diagnosis", Tag.DEVICES, None, problems=_TOO_MANY)
async def diagnose_page(call: Call, target: TargetId) -> DiagnosisAnswer:
    """Why the device's page opens in a browser, or what is in the way.

    The page is asked for as a browser would, so that it takes a session with its second factor. Slower than other
    answers: the device may take up to 25 seconds. A few at once for each person.
    """
    return DiagnosisAnswer.of(Way.BROWSER, await call.diagnosis.browser(call.caller.person, target))

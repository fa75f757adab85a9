"""All that can keep a device page from opening, each with its HTTP status. The portal's catalogue has their words."""

from enum import StrEnum

from plantgate_shared.errors import PlantgateError


class Problem(StrEnum):
    NO_SESSION = "no-session"
    NOT_AVAILABLE = "not-available"
    NO_PERMISSION = "no-permission"
    NO_TWO_FACTOR = "no-two-factor"
    ON_HOLD = "on-hold"
    NO_PURPOSE = "no-purpose"
    HANDOVER = "handover"
    FOREIGN_REQUEST = "foreign-request"
    PLANTED_COOKIE = "planted-cookie"
    BAD_REQUEST = "bad-request"
    SERVICE_WORKER = "service-worker"
    HUB_STORE = "hub-store"
    AGENT_OFFLINE = "agent-offline"
    AGENT_BUSY = "agent-busy"
    DEVICE_REFUSED = "device-refused"
    DEVICE_UNREACHABLE = "device-unreachable"
    DEVICE_OUTSIDE = "device-outside"
    DEVICE_SILENT = "device-silent"
    DEVICE_BROKE_OFF = "device-broke-off"
    DEVICE_REPLY = "device-reply"
    CERTIFICATE_CHANGED = "certificate-changed"
    CERTIFICATE_UNTRUSTED = "certificate-untrusted"
    TLS_FAILED = "tls-failed"
    REDIRECT_ELSEWHERE = "redirect-elsewhere"


STATUS: dict[Problem, int] = {
    Problem.NO_SESSION: 401,
    Problem.NOT_AVAILABLE: 404,
    Problem.NO_PERMISSION: 403,
    Problem.NO_TWO_FACTOR: 403,
    Problem.ON_HOLD: 403,
    Problem.NO_PURPOSE: 403,
    Problem.HANDOVER: 403,
    Problem.FOREIGN_REQUEST: 403,
    Problem.PLANTED_COOKIE: 400,
    Problem.BAD_REQUEST: 400,
    Problem.SERVICE_WORKER: 403,
    Problem.HUB_STORE: 503,
    Problem.AGENT_OFFLINE: 503,
    Problem.AGENT_BUSY: 503,
    Problem.DEVICE_REFUSED: 502,
    Problem.DEVICE_UNREACHABLE: 504,
    Problem.DEVICE_OUTSIDE: 502,
    Problem.DEVICE_SILENT: 504,
    Problem.DEVICE_BROKE_OFF: 502,
    Problem.DEVICE_REPLY: 502,
    Problem.CERTIFICATE_CHANGED: 502,
    Problem.CERTIFICATE_UNTRUSTED: 502,
    Problem.TLS_FAILED: 502,
    Problem.REDIRECT_ELSEWHERE: 502,
}


class ProxyProblem(PlantgateError):
    """A request that ends with one of the problems; `detail` is a technical word for the page's small print."""

    def __init__(self, problem: Problem, detail: str = "") -> None:
        super().__init__(f"{problem.value}: {detail}" if detail else problem.value)
        self.problem = problem
        self.detail = detail

"""Structured logging: one JSON object (or a readable line on a terminal) an event, on standard error.

Events are constants from `Event`; keys are snake_case nouns. People's addresses and names are logged at DEBUG only.
"""

import logging
import sys
from enum import StrEnum
from typing import Any

_without = "rich" not in sys.modules
if _without:  # structlog would load it (an eighth of the hub's start) for tracebacks, which are rendered plainly here
    sys.modules["rich"] = None  # type: ignore[assignment]
import structlog  # noqa: E402

if _without:
    del sys.modules["rich"]


class Event(StrEnum):
    """Names of log events: what happened, as `noun.verb`."""

    STARTED = "process.started"
    STOPPED = "process.stopped"
    FAILED = "process.failed"
    CLOCK_WRONG = "clock.wrong"
    TUNNEL_UP = "tunnel.up"
    TUNNEL_DOWN = "tunnel.down"
    TUNNEL_REFUSED = "tunnel.refused"
    STREAM_FAILED = "stream.failed"
    PATH_CHANGED = "path.changed"
    PEER_ADDED = "peer.added"
    PEER_REMOVED = "peer.removed"
    PEER_RENEWED = "peer.renewed"
    AGENT_ENROLLED = "agent.enrolled"
    ENROLMENT_REFUSED = "enrolment.refused"
    PUSH_FAILED = "push.failed"
    CONTROL_SKIPPED = "control.skipped"
    RELAY_FAILED = "relay.failed"
    BOUNDARY_REFUSED = "boundary.refused"
    DRIFT_CORRECTED = "drift.corrected"
    KERNEL_REFUSED = "kernel.refused"
    REPORT_LOST = "report.lost"
    CERTIFICATE_RENEWED = "certificate.renewed"
    CERTIFICATE_NOT_RENEWED = "certificate.not renewed"
    VPN_ON = "vpn.on"
    VPN_OFF = "vpn.off"
    VPN_FENCED = "vpn.fenced"
    VPN_UNFENCED = "vpn.unfenced"
    VERIFICATION_FAILED = "verification.failed"
    CHANGES_APPLIED = "changes.applied"
    STORE_UNREACHABLE = "store.unreachable"
    SESSIONS_NOT_TIDIED = "sessions.not tidied"
    LISTENER_FAILED = "listener.failed"
    STORE_REACHABLE = "store.reachable"
    STORE_FRESHNESS = "store.freshness"
    EXTERNAL_CONNECTED = "external.connected"
    ROW_UNREADABLE = "row.unreadable"
    WORKER_STARTED = "worker.started"
    WORKER_EXITED = "worker.exited"
    REQUEST_FAILED = "request.failed"
    MAIL_NOT_SENT = "mail.not sent"


def configure(level: str = "info", *, json: bool | None = None) -> None:
    """Set logging up for the process; `json=None` means JSON unless standard error is a terminal."""
    terminal = sys.stderr.isatty()
    as_json = not terminal if json is None else json
    renderer: Any = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=terminal)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )


def get_logger(**context: Any) -> Any:
    return structlog.get_logger(**context)

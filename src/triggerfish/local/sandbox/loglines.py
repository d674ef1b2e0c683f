"""The lines Lambda writes into a function's log, and how what a function says becomes lines. Pure.

Source: docs.aws.amazon.com/lambda/latest/dg/python-logging.html and lines of real functions, 2026.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from triggerfish.local.sandbox.limits import LOG_EVENT_BYTES

if TYPE_CHECKING:
    from datetime import datetime

FRAME_HEAD = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """How one invocation went, for its REPORT line."""

    request_id: str
    duration_ms: float
    memory_mb: int
    used_mb: int
    init_ms: float | None = None
    """Only for the first invocation, whose init came before it."""
    status: Literal["success", "error", "timeout"] = "success"
    error_type: str | None = None

    @property
    def billed_ms(self) -> int:
        """Init is billed with the first invocation since August 2025."""
        return math.ceil(self.duration_ms + (self.init_ms or 0.0))


class TextLines:
    """Lambda's plain format."""

    @staticmethod
    def init_start(runtime: str, at: datetime) -> str | None:
        del at
        return f"INIT_START Runtime Version: {runtime.replace('python', 'python:')}"

    @staticmethod
    def start(request_id: str, version: str, at: datetime) -> str:
        del at
        return f"START RequestId: {request_id} Version: {version}"

    @staticmethod
    def init_report(
        init_ms: float, phase: str, status: str, error_type: str | None, at: datetime
    ) -> str:
        del at
        ending = f"\tError Type: {error_type}" if error_type else ""
        return (
            f"INIT_REPORT Init Duration: {init_ms:.2f} ms\tPhase: {phase}\tStatus: {status}{ending}"
        )

    @staticmethod
    def end(report: Report, at: datetime) -> tuple[str, ...]:
        del at
        parts = [
            f"REPORT RequestId: {report.request_id}",
            f"Duration: {report.duration_ms:.2f} ms",
            f"Billed Duration: {report.billed_ms} ms",
            f"Memory Size: {report.memory_mb} MB",
            f"Max Memory Used: {report.used_mb} MB",
        ]
        if report.init_ms is not None:
            parts.append(f"Init Duration: {report.init_ms:.2f} ms")
        if report.status != "success":
            parts.append(f"Status: {report.status}")
        if report.error_type and report.status == "error":
            parts.append(f"Error Type: {report.error_type}")
        ended = f"END RequestId: {report.request_id}"
        ending = "\t" if report.status == "success" else ""
        return (ended, "\t".join(parts) + ending)


class JsonLines:
    """Lambda's JSON format (LoggingConfig LogFormat)."""

    @staticmethod
    def init_start(runtime: str, at: datetime) -> str | None:
        record: dict[str, object] = {
            "initializationType": "on-demand",
            "phase": "init",
            "runtimeVersion": runtime.replace("python", "python:"),
        }
        return _platform("platform.initStart", at, record)

    @staticmethod
    def start(request_id: str, version: str, at: datetime) -> str:
        return _platform("platform.start", at, {"requestId": request_id, "version": version})

    @staticmethod
    def init_report(
        init_ms: float, phase: str, status: str, error_type: str | None, at: datetime
    ) -> str:
        record: dict[str, object] = {
            "initializationType": "on-demand",
            "phase": phase,
            "status": status,
            "metrics": {"durationMs": round(init_ms, 3)},
        }
        if error_type:
            record["errorType"] = error_type
        return _platform("platform.initReport", at, record)

    @staticmethod
    def end(report: Report, at: datetime) -> tuple[str, ...]:
        metrics: dict[str, object] = {
            "durationMs": round(report.duration_ms, 3),
            "billedDurationMs": report.billed_ms,
            "memorySizeMB": report.memory_mb,
            "maxMemoryUsedMB": report.used_mb,
        }
        if report.init_ms is not None:
            metrics["initDurationMs"] = round(report.init_ms, 3)
        record: dict[str, object] = {
            "requestId": report.request_id,
            "metrics": metrics,
            "status": report.status,
        }
        if report.error_type and report.status == "error":
            record["errorType"] = report.error_type
        return (_platform("platform.report", at, record),)


Lines = type[TextLines] | type[JsonLines]


def timestamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


class LineSplitter:
    """Whole lines out of what standard output and error say, in UTF-8 as far as they are."""

    def __init__(self) -> None:
        self._partial = b""

    def feed(self, data: bytes) -> list[str]:
        *lines, self._partial = (self._partial + data).split(b"\n")
        if len(self._partial) > LOG_EVENT_BYTES:
            lines, self._partial = [*lines, self._partial], b""
        return [piece for line in lines for piece in cut(line)]

    def flush(self) -> list[str]:
        partial, self._partial = self._partial, b""
        return cut(partial) if partial else []


class FrameReader:
    """Messages out of AWS's framed log pipe: type, length, microseconds, message."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> list[tuple[int, str]]:
        """Pairs of time in milliseconds and message."""
        self._buffer += data
        found: list[tuple[int, str]] = []
        while len(self._buffer) >= FRAME_HEAD:
            length = int.from_bytes(self._buffer[4:8], "big")
            if len(self._buffer) < FRAME_HEAD + length:
                break
            micros = int.from_bytes(self._buffer[8:FRAME_HEAD], "big")
            message = self._buffer[FRAME_HEAD : FRAME_HEAD + length]
            self._buffer = self._buffer[FRAME_HEAD + length :]
            found += [(micros // 1000, piece) for piece in cut(message.rstrip(b"\n"))]
        return found


def cut(line: bytes) -> list[str]:
    """A line longer than one log event may be becomes several."""
    pieces = [line[at : at + LOG_EVENT_BYTES] for at in range(0, len(line), LOG_EVENT_BYTES)]
    return [piece.decode("utf-8", "replace") for piece in pieces or [b""]]


def _platform(kind: str, at: datetime, record: dict[str, object]) -> str:
    return json.dumps({"time": timestamp(at), "type": kind, "record": record})

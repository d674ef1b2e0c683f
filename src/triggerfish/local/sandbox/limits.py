"""Lambda's limits and the exact words AWS says when one is passed. Pure.

Source: docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html and the error texts of the
service and of aws-lambda-runtime-interface-emulator, read November 2026.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Literal

from triggerfish.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

MIB = 1024 * 1024
INIT_S = 10.0
FILES = 1024
PROCESSES = 1024
REQUEST_BYTES = 6 * MIB
EVENT_BYTES = MIB
RESPONSE_BYTES = 6 * MIB + 100
ENVIRONMENT_BYTES = 4096
UNZIPPED_BYTES = 262_144_000
LOG_EVENT_BYTES = 256 * 1024

RESERVED_KEYS = frozenset({
    "_HANDLER", "_X_AMZN_TRACE_ID", "AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_DEFAULT_REGION",
    "AWS_EXECUTION_ENV", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION", "AWS_LAMBDA_INITIALIZATION_TYPE", "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME", "AWS_LAMBDA_RUNTIME_API", "AWS_REGION", "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN", "LAMBDA_RUNTIME_DIR", "LAMBDA_TASK_ROOT",
})  # fmt: skip

InvocationType = Literal["RequestResponse", "Event"]


def check_environment(variables: Mapping[str, str]) -> None:
    """Refuse what CreateFunction refuses on AWS and the emulator accepts. Raises: InputError."""
    told = "Lambda was unable to configure your environment variables because the environment "
    reserved = sorted(RESERVED_KEYS & variables.keys())
    if reserved:
        raise InputError(
            f"{told}variables you have provided contains reserved keys that are currently not "
            f"supported for modification. Reserved keys used in this request: {', '.join(reserved)}"
        )
    for key in variables:
        if not re.fullmatch(r"[a-zA-Z]([a-zA-Z0-9_])+", key):
            raise InputError(
                f"environment variable {key!r}: Map keys must satisfy constraint: "
                "[Member must satisfy regular expression pattern: [a-zA-Z]([a-zA-Z0-9_])+]"
            )
    measured = json.dumps(dict(variables), separators=(",", ":"), ensure_ascii=False)
    if len(measured.encode()) > ENVIRONMENT_BYTES:
        raise InputError(
            f"{told}variables you have provided exceeded the 4KB limit. "
            f"String measured: {len(measured.encode())} bytes"
        )


def request_excess(payload: bytes, kind: InvocationType) -> str | None:
    """What AWS answers to a payload over the limit; None for one within it.

    The emulator writes the payload again with spaces in it, so one that is over is measured again
    without them.
    """
    limit = EVENT_BYTES if kind == "Event" else REQUEST_BYTES
    size = len(payload)
    if size > limit:
        size = _size_without_spaces(payload)
    if size <= limit:
        return None
    return f"{size} byte payload is too large for the {kind} invocation type (limit {limit} bytes)"


def _size_without_spaces(payload: bytes) -> int:
    try:
        text = json.dumps(json.loads(payload), separators=(",", ":"), ensure_ascii=False)
    except ValueError:
        return len(payload)
    return len(text.encode())


def timed_out(request_id: str, seconds: float) -> str:
    return f"RequestId: {request_id} Error: Task timed out after {seconds:.2f} seconds"


def runtime_exited(request_id: str, wait_status: int) -> str:
    """`wait_status` as wait(2) gives it."""
    signal_number = wait_status & 0x7F
    code = (wait_status >> 8) & 0xFF
    if signal_number:
        reason = f"Runtime exited with error: signal: {_SIGNALS.get(signal_number, signal_number)}"
    elif code:
        reason = f"Runtime exited with error: exit status {code}"
    else:
        reason = "Runtime exited without providing a reason"
    return f"RequestId: {request_id} Error: {reason}"


# Go's names: Lambda's supervisor is written in it.
_SIGNALS = {
    1: "hangup", 2: "interrupt", 3: "quit", 4: "illegal instruction", 5: "trace/breakpoint trap",
    6: "aborted", 7: "bus error", 8: "floating point exception", 9: "killed",
    10: "user defined signal 1", 11: "segmentation fault", 12: "user defined signal 2",
    13: "broken pipe", 14: "alarm clock", 15: "terminated",
}  # fmt: skip

SIGNAL_KILLED = 9


def response_too_large() -> bytes:
    message = (
        f"Response payload size exceeded maximum allowed payload size ({RESPONSE_BYTES} bytes)."
    )
    return error_body("Function.ResponseSizeTooLarge", message)


def error_body(error_type: str, message: str) -> bytes:
    body = {"errorType": error_type, "errorMessage": message}
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()

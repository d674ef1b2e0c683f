from __future__ import annotations

import json

import pytest

from triggerfish.errors import InputError
from triggerfish.local.sandbox.limits import (
    check_environment,
    request_excess,
    runtime_exited,
    timed_out,
)


def test_an_environment_of_4_kb_is_accepted_and_a_byte_more_is_not() -> None:
    check_environment({"LONG": "x" * 4085})
    with pytest.raises(InputError) as caught:
        check_environment({"LONG": "x" * 4086})
    assert caught.value.message == (
        "Lambda was unable to configure your environment variables because the environment "
        "variables you have provided exceeded the 4KB limit. String measured: 4097 bytes"
    )


def test_all_reserved_keys_are_named_at_once() -> None:
    with pytest.raises(InputError, match=r"used in this request: AWS_REGION, _HANDLER$"):
        check_environment({"AWS_REGION": "", "_HANDLER": "", "FINE": ""})


@pytest.mark.parametrize("key", ["A", "1AB", "A-B", "_AB", ""])
def test_a_key_of_the_wrong_form_is_refused(key: str) -> None:
    with pytest.raises(InputError, match=r"\[a-zA-Z\]"):
        check_environment({key: "x"})


def test_what_only_the_emulators_spaces_make_too_long_is_accepted() -> None:
    """It writes every payload again, with a space after each comma and colon."""
    event = [0] * 3_000_000
    payload = json.dumps(event).encode()
    assert len(payload) > 6_291_456
    assert request_excess(payload, "RequestResponse") is None


def test_what_is_no_json_is_measured_as_it_is() -> None:
    assert request_excess(b"{" * 6_291_457, "RequestResponse") == (
        "6291457 byte payload is too large for the RequestResponse invocation type "
        "(limit 6291456 bytes)"
    )


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (3 << 8, "Runtime exited with error: exit status 3"),
        (0, "Runtime exited without providing a reason"),
        (9, "Runtime exited with error: signal: killed"),
        (11 | 0x80, "Runtime exited with error: signal: segmentation fault"),
        (31, "Runtime exited with error: signal: 31"),
    ],
)
def test_an_exit_is_told_as_lambda_tells_it(status: int, reason: str) -> None:
    assert runtime_exited("id-1", status) == f"RequestId: id-1 Error: {reason}"


def test_a_timeout_has_two_decimals() -> None:
    assert timed_out("id-1", 3) == "RequestId: id-1 Error: Task timed out after 3.00 seconds"

"""Every way a function can end but by answering, in AWS's words."""

from __future__ import annotations

import re
import time

import pytest

from tests.local.sandbox.lab import Lab, eventually

pytestmark = pytest.mark.cloud

ID = {"X-Amzn-Lambda-Request-Id": "id-1"}


def failure(error_type: str, message: str) -> dict[str, str]:
    return {"errorType": error_type, "errorMessage": f"RequestId: id-1 Error: {message}"}


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        pytest.param("sys.exit(3)", "Runtime exited with error: exit status 3", id="sys.exit"),
        pytest.param("os._exit(3)", "Runtime exited with error: exit status 3", id="os._exit"),
        pytest.param("sys.exit()", "Runtime exited without providing a reason", id="exit-0"),
        pytest.param(
            "os.kill(os.getpid(), 9)", "Runtime exited with error: signal: killed", id="kill"
        ),
        pytest.param(
            "os.kill(os.getpid(), 11)",
            "Runtime exited with error: signal: segmentation fault",
            id="segfault",
        ),
        pytest.param("os.abort()", "Runtime exited with error: signal: aborted", id="abort"),
    ],
)
def test_a_runtime_that_exits_is_told_and_replaced(lab: Lab, statement: str, message: str) -> None:
    arn = lab.put(f"import os, sys\ndef handler(event, context):\n    if event: {statement}")
    answer = lab.invoke(arn, 1, headers=ID)
    assert answer.error == "Unhandled"
    assert answer.json == failure("Runtime.ExitError", message)
    assert f" RequestId: id-1 Error: {message}\n    Runtime.ExitError\n" in lab.log(arn)
    assert lab.invoke(arn, 0).error is None


def test_an_exit_during_init_is_told(lab: Lab) -> None:
    answer = lab.invoke(lab.put("import os; os._exit(4)"), headers=ID)
    message = "Runtime exited with error: exit status 4"
    assert answer.json == failure("Runtime.ExitError", message)


def test_a_function_over_its_time_is_ended_and_starts_anew(lab: Lab) -> None:
    arn = lab.put(
        """
        import time, uuid
        me = uuid.uuid4().hex
        def handler(event, context):
            print("before")
            time.sleep(event)
            return me
        """,
        Timeout=1,
    )
    before = lab.invoke(arn, 0).json
    began = time.monotonic()
    answer = lab.invoke(arn, 30, headers=ID)
    assert 1.0 <= time.monotonic() - began < 6.0
    assert answer.error == "Unhandled"
    assert answer.json == failure("Sandbox.Timedout", "Task timed out after 1.00 seconds")
    log = lab.log(arn, until="Status: timeout")
    assert re.search(r" \S+Z id-1 Task timed out after 1.00 seconds\n", log)
    assert "\tDuration: 1000.00 ms\tBilled Duration: 1000 ms\tMemory Size: 256 MB\t" in log
    assert lab.invoke(arn, 0).json != before


def test_an_init_over_its_time_runs_again_inside_the_invocation(lab: Lab) -> None:
    """10 s of init come first; the function's own time then counts the second init."""
    arn = lab.put("import time\ntime.sleep(60)\ndef handler(event, context): pass", Timeout=1)
    began = time.monotonic()
    answer = lab.invoke(arn, headers=ID)
    assert 11.0 <= time.monotonic() - began < 20
    assert answer.json == failure("Sandbox.Timedout", "Task timed out after 1.00 seconds")
    log = lab.log(arn)
    assert re.search(
        r"INIT_REPORT Init Duration: 1000\d.\d\d ms\tPhase: init\tStatus: timeout", log
    )


ALLOCATE = """
    def handler(event, context):
        block = bytearray(event * 1024 * 1024)
        return len(block)
"""


def test_a_function_over_its_memory_is_killed(lab: Lab) -> None:
    arn = lab.put(ALLOCATE, MemorySize=128)
    answer = lab.invoke(arn, 400, headers=ID)
    assert answer.json == failure("Runtime.ExitError", "Runtime exited with error: signal: killed")
    ending = (
        "\tMemory Size: 128 MB\tMax Memory Used: 128 MB\tInit Duration: "
        r"\d+.\d\d ms\tStatus: error\tError Type: Runtime.OutOfMemory\n"
    )
    assert re.search(ending, lab.log(arn))
    assert lab.invoke(arn, 60).json == 60 * 1024 * 1024


def test_memory_used_only_for_a_moment_counts(lab: Lab) -> None:
    """The most ever used decides, not what a look at the right time finds."""
    arn = lab.put(ALLOCATE, MemorySize=128)
    answer = lab.invoke(arn, 130, headers=ID)
    assert answer.json == failure("Runtime.ExitError", "Runtime exited with error: signal: killed")


def test_memory_of_children_counts(lab: Lab) -> None:
    arn = lab.put(
        """
        import subprocess, sys
        def handler(event, context):
            subprocess.run([sys.executable, "-c", "x = bytearray(400 << 20); input()"],
                           stdin=subprocess.PIPE)
        """,
        MemorySize=128,
        Timeout=30,
    )
    answer = lab.invoke(arn, headers=ID)
    assert answer.json == failure("Runtime.ExitError", "Runtime exited with error: signal: killed")


def test_pages_shared_with_children_count_once(lab: Lab) -> None:
    arn = lab.put(
        """
        import os, time
        block = bytearray(60 << 20)
        def handler(event, context):
            pids = []
            for _ in range(3):
                pid = os.fork()
                if not pid:
                    time.sleep(0.3)
                    os._exit(0)
                pids.append(pid)
            return [os.waitpid(pid, 0)[1] for pid in pids]
        """,
        MemorySize=128,
    )
    assert lab.invoke(arn).json == [0, 0, 0]


def test_max_memory_used_is_reported(lab: Lab) -> None:
    arn = lab.put(ALLOCATE, MemorySize=512)
    lab.invoke(arn, 200)
    used = re.search(r"Max Memory Used: (\d+) MB", lab.log(arn))
    assert used is not None
    assert 200 < int(used[1]) < 230


def test_tmp_holds_what_is_configured_and_no_more(lab: Lab) -> None:
    arn = lab.put(
        """
        def handler(event, context):
            try:
                with open("/tmp/filled.bin", "wb") as file:
                    for _ in range(event):
                        file.write(bytes(1 << 20))
            except OSError as error:
                return str(error)
        """,
        EphemeralStorage={"Size": 512},
        MemorySize=1024,
        Timeout=30,
    )
    assert lab.invoke(arn, 500).json is None
    assert lab.invoke(arn, 520).json == "[Errno 28] No space left on device"


def test_more_than_1024_descriptors_is_refused(lab: Lab) -> None:
    answer = lab.run("""
        def handler(event, context):
            files = []
            try:
                for number in range(2000):
                    files.append(open("/dev/null"))
            except OSError as error:
                return [str(error), number > 1000]
    """)
    assert answer.json == ["[Errno 24] Too many open files: '/dev/null'", True]


def test_more_than_1024_threads_never_run(lab: Lab) -> None:
    """Where the kernel can't refuse one to root, the environment ends."""
    answer = lab.run(
        """
        import threading, time
        def handler(event, context):
            for _ in range(1100):
                threading.Thread(target=time.sleep, args=(5,), daemon=True).start()
            time.sleep(3)
            return "all ran"
        """,
        MemorySize=1024,
        Timeout=20,
    )
    assert answer.fields["errorType"] in {"Runtime.ExitError", "RuntimeError"}


def test_a_response_over_6_mb_is_refused(lab: Lab) -> None:
    arn = lab.put("def handler(event, context): return 'x' * event", MemorySize=512)
    assert len(lab.invoke(arn, 6_291_554).body) == 6_291_556
    answer = lab.invoke(arn, 6_291_555)
    assert answer.error == "Unhandled"
    assert answer.json == {
        "errorType": "Function.ResponseSizeTooLarge",
        "errorMessage": "Response payload size exceeded maximum allowed payload size "
        "(6291556 bytes).",
    }
    assert lab.invoke(arn, 1).json == "x"


def test_a_request_over_6_mb_is_refused(lab: Lab) -> None:
    arn = lab.put("def handler(event, context): return len(event)", MemorySize=512)
    assert lab.invoke(arn, "x" * 6_291_454).json == 6_291_454
    answer = lab.invoke(arn, "x" * 6_291_455)
    assert (answer.status, answer.error_type) == (413, "RequestTooLargeException")
    assert answer.json == {
        "Type": "User",
        "message": "6291457 byte payload is too large for the RequestResponse invocation type "
        "(limit 6291456 bytes)",
    }


def test_an_event_over_1_mb_is_refused_where_the_caller_says_it_is_one(lab: Lab) -> None:
    arn = lab.put("def handler(event, context): return len(event)")
    headers = {"X-Amz-Invocation-Type": "Event"}
    answer = lab.invoke(arn, "x" * 1_048_575, headers=headers)
    assert answer.fields["message"] == (
        "1048577 byte payload is too large for the Event invocation type (limit 1048576 bytes)"
    )


def test_an_environment_over_4_kb_is_refused(lab: Lab) -> None:
    arn = lab.put("def handler(event, context): pass", variables={"LONG": "x" * 4086})
    answer = lab.invoke(arn)
    assert (answer.status, answer.error_type) == (400, "InvalidParameterValueException")
    assert "exceeded the 4KB limit" in str(answer.fields["message"])
    assert f"{arn.rpartition(':')[2]}: Lambda was unable to configure" in lab.said


def test_reserved_keys_are_refused(lab: Lab) -> None:
    arn = lab.put("def handler(event, context): pass", variables={"AWS_REGION": "x"})
    assert lab.invoke(arn).fields["message"] == (
        "Lambda was unable to configure your environment variables because the environment "
        "variables you have provided contains reserved keys that are currently not supported for "
        "modification. Reserved keys used in this request: AWS_REGION"
    )


def test_an_unknown_function_is_not_found(lab: Lab) -> None:
    answer = lab.invoke("arn:aws:lambda:eu-west-1:123456789012:function:absent")
    assert (answer.status, answer.error_type) == (404, "ResourceNotFoundException")
    assert answer.fields["message"] == (
        "Function not found: arn:aws:lambda:eu-west-1:123456789012:function:absent"
    )


@pytest.mark.parametrize(
    ("configuration", "message"),
    [
        pytest.param(
            {"Runtime": "nodejs22.x"},
            "f is nodejs22.x: the sandbox runs zip packages on python runtimes",
            id="runtime",
        ),
        pytest.param(
            {"Layers": [{"Arn": "x"}]},
            "f uses layers: the sandbox runs none; package what they hold",
            id="layers",
        ),
        pytest.param(
            {"CodeSha256": "cfn-deployed"},
            "the emulator holds no code (CodeSha256 is 'cfn-deployed')",
            id="no-code",
        ),
    ],
)
def test_what_cannot_run_here_is_refused_loudly(
    lab: Lab, configuration: dict[str, object], message: str
) -> None:
    arn = lab.put("def handler(event, context): pass", name="f", **configuration)
    answer = lab.invoke(arn)
    assert (answer.status, answer.error_type) == (500, "ServiceException")
    assert answer.fields["message"] == message
    assert message in lab.said


def test_an_environment_that_dies_while_idle_is_replaced(lab: Lab) -> None:
    arn = lab.put("""
        import os, threading
        def handler(event, context):
            threading.Timer(0.1, os._exit, (1,)).start()
            return "ok"
    """)
    assert lab.invoke(arn).json == "ok"
    eventually(lambda: not lab.environments_of(arn), "the dead one is dropped")
    assert lab.invoke(arn).json == "ok"

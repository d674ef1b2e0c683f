"""No process outlives what started it, and nothing is left behind by use."""

from __future__ import annotations

import os
import signal
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast, get_args

import pytest

from tests.local.sandbox.lab import Lab, eventually, processes_marked
from triggerfish.local.fakes.lambda_api import FakeLambdaApi
from triggerfish.local.sandbox.isolation import probe
from triggerfish.local.sandbox.options import Wanted

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.cloud

LEAVES_CHILDREN = """
    import subprocess
    children = []
    def handler(event, context):
        for new_session in (False, True):
            children.append(subprocess.Popen(["sleep", "600"], start_new_session=new_session))
        return len(children)
"""


@contextmanager
def laboratory(state: Path, *, isolation: Wanted = "best", idle_s: float = 300.0) -> Iterator[Lab]:
    with FakeLambdaApi() as api:
        lab = Lab(api, state, isolation=isolation, idle_s=idle_s)
        try:
            yield lab
        finally:
            lab.stop()


@pytest.fixture
def mark() -> Iterator[str]:
    """Put into a function's environment, it's in that of all its processes."""
    text = f"mark-{uuid.uuid4().hex}"
    yield text
    for pid in processes_marked(text):
        os.kill(pid, signal.SIGKILL)


def test_a_killed_sandbox_leaves_no_process(tmp_path: Path, mark: str) -> None:
    with laboratory(tmp_path) as lab:
        arn = lab.put(LEAVES_CHILDREN, variables={"MARK": mark})
        assert lab.invoke(arn).json == 2
        all_five = "outer, init, runtime and two sleeps"
        eventually(lambda: len(processes_marked(mark)) == 5, all_five)
        lab.child.kill()
        eventually(lambda: not processes_marked(mark), "nothing is left")


def test_a_stopped_sandbox_leaves_no_process(tmp_path: Path, mark: str) -> None:
    with laboratory(tmp_path) as lab:
        lab.invoke(lab.put(LEAVES_CHILDREN, variables={"MARK": mark}))
        assert lab.stop() == 0
        eventually(lambda: not processes_marked(mark), "nothing is left")


def test_sigterm_ends_it(tmp_path: Path) -> None:
    with laboratory(tmp_path) as lab:
        lab.run("def handler(event, context): pass")
        lab.child.terminate()
        assert lab.child.wait(5) == 0


def test_a_timeout_ends_what_the_function_started(tmp_path: Path, mark: str) -> None:
    source = LEAVES_CHILDREN.replace("return len(children)", "import time; time.sleep(60)")
    with laboratory(tmp_path) as lab:
        answer = lab.run(source, variables={"MARK": mark}, Timeout=1)
        assert answer.fields["errorType"] == "Sandbox.Timedout"
        eventually(lambda: not processes_marked(mark), "nothing is left")


def test_an_exit_ends_what_the_function_started(tmp_path: Path, mark: str) -> None:
    source = LEAVES_CHILDREN.replace("return len(children)", "raise SystemExit(1)")
    with laboratory(tmp_path) as lab:
        lab.run(source, variables={"MARK": mark})
        eventually(lambda: not processes_marked(mark), "nothing is left")


def test_idle_environments_are_ended(tmp_path: Path, mark: str) -> None:
    with laboratory(tmp_path, idle_s=0.2) as lab:
        arn = lab.put("def handler(event, context): pass", variables={"MARK": mark})
        lab.invoke(arn)
        eventually(lambda: not processes_marked(mark), "it is ended")
        assert lab.environments_of(arn) == []
        assert lab.invoke(arn).error is None


def test_use_leaks_no_descriptor_and_no_process(tmp_path: Path, mark: str) -> None:
    """Cold starts, failures and timeouts of every kind leave what was there before."""

    def descriptors() -> int:
        return len(os.listdir(f"/proc/{lab.child.pid}/fd"))  # noqa: PTH208  the same as a count

    def use(body: str) -> None:
        source = f"def handler(event, context): {body}  # {uuid.uuid4()}"
        lab.invoke(lab.put(source, name="again", variables={"MARK": mark}, Timeout=1))

    with laboratory(tmp_path) as lab:
        use("pass")
        eventually(lambda: lab.api.logs, "the connection for logs, which is kept")
        before = descriptors()
        for body in ("pass", "raise ValueError", "import os; os._exit(1)", "while True: pass"):
            for _ in range(3):
                use(body)
        use("pass")
        eventually(lambda: len(processes_marked(mark)) <= 3, "one environment is left")
        eventually(lambda: descriptors() <= before, f"{before} descriptors")


@pytest.mark.parametrize("isolation", [each for each in get_args(Wanted) if each != "best"])
def test_functions_run_in_every_isolation_that_works_here(
    tmp_path: Path, isolation: Wanted
) -> None:
    with laboratory(tmp_path, isolation=isolation) as lab:
        refused = "namespaces" in isolation and lab.run("handler = print").status == 500
        if refused:
            pytest.skip(f"this machine refuses {isolation}")
        arn = lab.put("""
            import os
            def handler(event, context):
                return [os.getcwd(), os.environ["LAMBDA_TASK_ROOT"], __file__]
        """)
        folder, root, file = cast("list[str]", lab.invoke(arn).json)
        assert folder == root
        assert file == f"{root}/app.py"
        assert (root == "/var/task") == (isolation != "none")
        assert ("NOT ENFORCED: the size of /tmp" in lab.said) == (isolation == "none")
        exited = lab.run("import os\ndef handler(event, context): os._exit(3)")
        assert str(exited.fields["errorMessage"]).endswith("exit status 3")
        grown = lab.run(
            "def handler(event, context): return len(bytearray(400 << 20))", MemorySize=128
        )
        assert grown.fields["errorType"] == "Runtime.ExitError"


def test_the_best_isolation_is_found_and_announced(lab: Lab) -> None:
    best = probe(Path(lab.child.args[0]))  # type: ignore[index,arg-type]
    assert lab.ready["isolation"] == best.mode
    assert set(lab.ready) == {"ready", "url", "isolation"}


def test_a_port_that_is_taken_is_said_and_ends_it(tmp_path: Path, lab: Lab) -> None:
    import subprocess  # noqa: PLC0415  one test
    import sys  # noqa: PLC0415

    done = subprocess.run(
        [sys.executable, "-m", "triggerfish.local.sandbox", f"--state={tmp_path}",
         "--aws-url=http://127.0.0.1:9", f"--lambda-python={sys.executable}", f"--port={lab.port}"],
        capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=30,
    )  # fmt: skip
    assert done.returncode == 1
    assert "Address already in use" in done.stderr.replace("address already", "Address already")
    assert not done.stdout


def test_an_emulator_that_is_away_is_an_error_that_says_so(tmp_path: Path) -> None:
    with laboratory(tmp_path) as lab:
        arn = lab.put("def handler(event, context): pass")
        lab.api.__exit__(None, None, None)
        answer = lab.invoke(arn)
    assert (answer.status, answer.error_type) == (500, "ServiceException")

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from triggerfish.local.sandbox import Options, command
from triggerfish.local.sandbox.environ import Credentials
from triggerfish.local.sandbox.isolation import Isolation
from triggerfish.local.sandbox.options import from_arguments
from triggerfish.local.sandbox.service import interpreter

FULL = Options(
    state=Path("/state"),
    aws_url="http://127.0.0.1:1",
    default_python=Path("/a=b/python"),
    pythons={"python3.13": Path("/13/python")},
    endpoints={"": "http://127.0.0.1:2", "auto_scaling": "http://127.0.0.1:3/?a=b"},
    credentials=Credentials(access_key="k", secret_key="s", session_token="t:u"),
    port=7,
    isolation="none",
    environments=3,
    idle_s=1.5,
)


def test_the_command_line_says_the_options() -> None:
    run, *arguments = command(FULL)
    assert run == sys.executable
    assert arguments[:2] == ["-m", "triggerfish.local.sandbox"]
    assert from_arguments(arguments[2:]) == FULL


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--lambda-python=python3.13=/x"], "one --lambda-python must be a plain path"),
        (["--lambda-python=/x", "--endpoint=sns"], "wanted SERVICE=URL"),
        (["--lambda-python=/x", "--credentials=a"], "wanted KEY:SECRET:TOKEN"),
    ],
)
def test_a_wrong_argument_is_named(
    extra: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        from_arguments(["--state=/s", "--aws-url=http://127.0.0.1:1", *extra])
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_a_runtime_without_its_interpreter_is_said_once() -> None:
    said: list[str] = []
    find = interpreter(FULL, said.append)
    assert [str(find(each)) for each in ("python3.13", "python3.14", "python3.14")] == [
        "/13/python",
        "/a=b/python",
        "/a=b/python",
    ]
    assert said == ["no interpreter for python3.14: its functions run on /a=b/python"]


def test_what_a_machine_can_not_enforce_is_said() -> None:
    poor = Isolation(mode="none", refusals=("namespaces: needs Linux",))
    assert poor.missing() == (
        (
            "NOT ENFORCED: the size of /tmp; functions share this machine's /tmp "
            "(namespaces: needs Linux)"
        ),
        "NOT ENFORCED: a read-only file system; code runs where it lies, not at /var/task",
        "NOT ENFORCED: processes a function moved to a session of their own may outlive it",
        (
            "DIFFERS: the 1024 processes and threads of an environment: one more fails on AWS; "
            "here the environment is killed"
        ),
    )
    assert Isolation(mode="user-namespaces", counts_processes=True).missing() == ()

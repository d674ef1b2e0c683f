from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from triggerfish.errors import InputError, Refused, Unavailable
from triggerfish.local import environments
from triggerfish.local.environments import (
    REQUIREMENTS,
    STAMP,
    LambdaPython,
    UvMaker,
    emulator_python,
    ensure_environments,
    lambda_python,
)

OWN = f"3.{sys.version_info.minor}"


@dataclass
class FakeMaker:
    """Makes folders that look like environments; has the interpreters it's told."""

    interpreters: dict[str, Path] = field(default_factory=dict)
    made: list[tuple[str, Path, str]] = field(default_factory=list)

    def find(self, version: str) -> Path | None:
        return self.interpreters.get(version)

    def make(self, folder: Path, *, python: Path, requirements: Path) -> None:
        self.made.append((folder.name, python, requirements.name))
        make_environment(folder)


class FailingMaker(FakeMaker):
    def make(self, folder: Path, *, python: Path, requirements: Path) -> None:
        super().make(folder, python=python, requirements=requirements)
        raise Unavailable("the index is down")


def make_environment(folder: Path) -> Path:
    python = folder / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    return python


def silent(message: str) -> None:
    del message


def test_emulators_interpreter_is_beside_ours(tmp_path: Path) -> None:
    python = make_environment(tmp_path / "emulator")
    assert emulator_python(at=tmp_path) == python


def test_missing_emulator_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as caught:
        emulator_python(at=tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}/emulator/bin/python: the emulator's environment is missing\n"
        "hint: `python -m triggerfish.local.environments` makes it (in a clone: `make setup`)"
    )


def test_function_gets_the_runtimes_own_interpreter(tmp_path: Path) -> None:
    make_environment(tmp_path / "lambda-python3.12")
    python = make_environment(tmp_path / "lambda-python3.13")
    assert lambda_python("python3.13", at=tmp_path) == LambdaPython(
        path=python, version="3.13", exact=True
    )


@pytest.mark.parametrize(
    ("there", "runtime", "version"),
    [
        pytest.param(["3.11", "3.12"], "python3.13", "3.12", id="nearest"),
        pytest.param(["3.12", "3.14"], "python3.13", "3.14", id="newer of two equally near"),
        pytest.param(["3.11"], "python3.14", "3.11", id="the only one"),
        pytest.param(["3.9", "3.10"], "python3.13", "3.10", id="numbers, not text"),
    ],
)
def test_function_without_its_runtime_gets_another(
    tmp_path: Path, there: list[str], runtime: str, version: str
) -> None:
    for each in there:
        make_environment(tmp_path / f"lambda-python{each}")
    found = lambda_python(runtime, at=tmp_path)
    assert (found.version, found.exact) == (version, False)


def test_half_made_or_replaced_environment_is_not_used(tmp_path: Path) -> None:
    make_environment(tmp_path / "lambda-python3.13.new")
    make_environment(tmp_path / "lambda-python3.13.old")
    (tmp_path / "lambda-python3.12").mkdir()
    with pytest.raises(Unavailable, match="no environment for functions is there"):
        lambda_python("python3.13", at=tmp_path)


@pytest.mark.parametrize("runtime", ["nodejs22.x", "python2.7", "python3.", "python3.x", ""])
def test_runtime_that_is_not_pythons_is_refused(tmp_path: Path, runtime: str) -> None:
    with pytest.raises(InputError, match="not a Python runtime of Lambda"):
        lambda_python(runtime, at=tmp_path)


def test_both_environments_are_made_from_their_requirements(tmp_path: Path) -> None:
    maker = FakeMaker(interpreters={"3.99": Path("/opt/python3.99")})
    ensure_environments(silent, runtimes=["python3.99"], maker=maker, at=tmp_path)
    assert maker.made == [
        ("emulator.new", Path(sys.executable), "emulator.txt"),
        ("lambda-python3.99.new", Path("/opt/python3.99"), "lambda.txt"),
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["emulator", "lambda-python3.99"]
    assert emulator_python(at=tmp_path).exists()
    assert lambda_python("python3.99", at=tmp_path).exact


def test_nothing_is_made_twice(tmp_path: Path) -> None:
    maker = FakeMaker(interpreters={"3.99": Path("/opt/python3.99")})
    said: list[str] = []
    ensure_environments(silent, runtimes=["python3.99"], maker=maker, at=tmp_path)
    maker.made.clear()
    ensure_environments(said.append, runtimes=["python3.99"], maker=maker, at=tmp_path)
    assert (maker.made, said) == ([], [])


def test_runtime_the_machine_lacks_runs_on_our_python_and_is_said(tmp_path: Path) -> None:
    maker = FakeMaker()
    said: list[str] = []
    ensure_environments(said.append, runtimes=["python3.99"], maker=maker, at=tmp_path)
    assert said == [
        f"making {tmp_path}/emulator",
        f"no Python 3.99 here: functions run on Python {OWN} locally",
        f"making {tmp_path}/lambda-python{OWN}",
    ]
    found = lambda_python("python3.99", at=tmp_path)
    assert (found.version, found.exact) == (OWN, False)


def test_our_own_version_needs_no_search(tmp_path: Path) -> None:
    maker = FakeMaker()
    ensure_environments(silent, runtimes=[f"python{OWN}"], maker=maker, at=tmp_path)
    assert maker.made[1] == (f"lambda-python{OWN}.new", Path(sys.executable), "lambda.txt")


@pytest.mark.parametrize("broken", ["stamp of other requirements", "no stamp", "no interpreter"])
def test_environment_that_is_out_of_date_is_made_again(tmp_path: Path, broken: str) -> None:
    maker = FakeMaker()
    ensure_environments(silent, runtimes=[f"python{OWN}"], maker=maker, at=tmp_path)
    maker.made.clear()
    emulator = tmp_path / "emulator"
    if broken == "stamp of other requirements":
        (emulator / STAMP).write_text("0" * 64)
    elif broken == "no stamp":
        (emulator / STAMP).unlink()
    else:
        (emulator / "bin" / "python").unlink()
    (emulator / "stale").touch()
    ensure_environments(silent, runtimes=[f"python{OWN}"], maker=maker, at=tmp_path)
    assert [name for name, _, _ in maker.made] == ["emulator.new"]
    assert not (emulator / "stale").exists()
    assert not (tmp_path / "emulator.old").exists()


def test_failure_leaves_the_old_environment_and_the_next_run_starts_clean(tmp_path: Path) -> None:
    old = make_environment(tmp_path / "emulator")
    with pytest.raises(Unavailable):
        ensure_environments(silent, maker=FailingMaker(), at=tmp_path)
    assert old.exists()
    ensure_environments(silent, runtimes=[f"python{OWN}"], maker=FakeMaker(), at=tmp_path)
    assert not (tmp_path / "emulator.new").exists()


def test_second_maker_waits_for_the_first_and_makes_nothing(tmp_path: Path) -> None:
    class SlowMaker(FakeMaker):
        def make(self, folder: Path, *, python: Path, requirements: Path) -> None:
            started.set()
            assert go_on.wait(10)
            super().make(folder, python=python, requirements=requirements)

    started, go_on = threading.Event(), threading.Event()
    slow, second = SlowMaker(), FakeMaker()
    runtimes = [f"python{OWN}"]
    first = threading.Thread(
        target=ensure_environments,
        args=(silent,),
        kwargs={"runtimes": runtimes, "maker": slow, "at": tmp_path},
    )
    first.start()
    assert started.wait(10)
    said: list[str] = []

    def say(message: str) -> None:
        said.append(message)
        go_on.set()

    ensure_environments(say, runtimes=runtimes, maker=second, at=tmp_path)
    first.join(10)
    made = slow.made + second.made
    assert sorted(name for name, _, _ in made) == ["emulator.new", f"lambda-python{OWN}.new"]
    assert said[0] == f"{tmp_path}: another process is making environments; waiting for it"


def test_folder_that_can_not_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Refused, match="use a virtual environment"):
        ensure_environments(silent, maker=FakeMaker(), at=tmp_path / "file" / "home")


@pytest.mark.parametrize("name", ["emulator.txt", "lambda.txt"])
def test_requirements_come_with_the_package(name: str) -> None:
    assert (REQUIREMENTS / name).is_file()


def make_uv(folder: Path, script: str) -> Path:
    uv = folder / "uv"
    uv.write_text(f"#!/bin/sh\n{script}\n")
    uv.chmod(uv.stat().st_mode | stat.S_IXUSR)
    return uv


def test_uv_installs_exactly_the_hashed_requirements(tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    uv = make_uv(tmp_path, f'echo "$@" >> "{calls}"')
    UvMaker(uv).make(Path("/env"), python=Path("/py"), requirements=Path("/r.txt"))
    assert calls.read_text().splitlines() == [
        "--quiet venv --relocatable --no-python-downloads --python /py /env",
        "--quiet pip sync --require-hashes --compile-bytecode --python /env/bin/python /r.txt",
    ]


def test_failing_uv_is_unavailable_and_quoted(tmp_path: Path) -> None:
    uv = make_uv(tmp_path, "echo 'error: no route to the index' >&2; exit 2")
    with pytest.raises(Unavailable) as caught:
        UvMaker(uv).make(Path("/env"), python=Path("/py"), requirements=Path("/r.txt"))
    assert str(caught.value) == (
        "uv venv failed (exit 2):\nerror: no route to the index\n"
        "hint: the package index must be reachable; run it again once it is"
    )


def test_interpreter_is_found_by_uv(tmp_path: Path) -> None:
    uv = make_uv(tmp_path, "echo /opt/python3.13")
    assert UvMaker(uv).find("3.13") == Path("/opt/python3.13")


def test_interpreter_uv_does_not_know_is_found_in_a_versions_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    python = tmp_path / ".pyenv/versions/3.98.1/bin/python3.98"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\n")
    python.chmod(0o755)
    uv = make_uv(tmp_path, "exit 1")
    assert UvMaker(uv).find("3.98") == python
    assert UvMaker(uv).find("3.97") is None


def test_interpreter_that_does_not_run_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    python = tmp_path / ".pyenv/versions/3.98.1/bin/python3.98"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\nexit 127\n")
    python.chmod(0o755)
    assert UvMaker(make_uv(tmp_path, "exit 1")).find("3.98") is None


def test_environments_of_a_system_python_are_in_the_users_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    assert environments.home() == tmp_path / ".cache" / "triggerfish" / f"python{OWN}"


def test_environments_of_a_virtual_environment_are_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert environments.home() == tmp_path


def test_command_refuses_a_runtime_that_is_not_pythons() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "triggerfish.local.environments", "ruby3.4"],
        env={**os.environ, "PYTHONWARNINGS": "error"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr == (
        "error: ruby3.4: not a Python runtime of Lambda\nhint: such as python3.13\n"
    )

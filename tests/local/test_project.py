"""One local cloud a project, found by every command, and never mistaken for one that was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Self

import pytest

from triggerfish.errors import Refused, Unavailable
from triggerfish.local import project as project_module
from triggerfish.local.project import LocalProject, Running

if TYPE_CHECKING:
    from pathlib import Path

HOLDER = """
import os, sys
from pathlib import Path
from triggerfish.local.project import LocalProject, Running
project = LocalProject(Path(sys.argv[1]))
with project.locked():
    if "announce" in sys.argv:
        project.announce(Running(pid=os.getpid(), started_at="", stack="shop-local",
            region="eu-west-1", addresses={"aws": "http://127.0.0.1:4566",
            "fleet": "http://127.0.0.1:5000"}, parameters={}))
    print("held", flush=True)
    sys.stdin.read()
"""


def make_running(**changes: object) -> Running:
    settings: dict[str, object] = {
        "pid": os.getpid(),
        "started_at": "2026-11-24T12:00:00+00:00",
        "stack": "shop-local",
        "region": "eu-west-1",
        "addresses": {"aws": "http://127.0.0.1:4566"},
        "parameters": {"zone internal.example.com": "Z1"},
        **changes,
    }
    return Running(**settings)  # type: ignore[arg-type]


class Holder:
    """Another process that runs the local cloud of a folder, as far as anyone can see."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(folder), *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"held\n"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def refusal(project: LocalProject) -> Refused:
    with pytest.raises(Refused) as caught, project.locked():
        pass
    return caught.value


def test_second_local_cloud_is_told_of_the_first(tmp_path: Path) -> None:
    project = LocalProject(tmp_path)
    with Holder(tmp_path, "announce") as holder:
        refused = refusal(project)
        assert refused.message == (
            f"a local cloud runs here already (process {holder.process.pid}):"
            " aws at http://127.0.0.1:4566, fleet at http://127.0.0.1:5000"
        )
        assert refused.hint == (
            "use it from any terminal in this project, or stop it with Ctrl-C where it runs"
        )


def test_second_local_cloud_is_told_that_the_first_is_starting(tmp_path: Path) -> None:
    with Holder(tmp_path):
        assert refusal(LocalProject(tmp_path)).message == f"a local cloud is starting in {tmp_path}"


def test_refused_one_leaves_the_first_findable(tmp_path: Path) -> None:
    project = LocalProject(tmp_path)
    with Holder(tmp_path, "announce") as holder:
        refusal(project)
        assert project.expect_running().pid == holder.process.pid


def test_running_one_is_found_with_all_that_it_said(tmp_path: Path) -> None:
    project = LocalProject(tmp_path)
    with project.locked():
        project.announce(make_running())
        assert LocalProject(tmp_path).expect_running() == make_running()


def test_killed_one_does_not_run(tmp_path: Path) -> None:
    project = LocalProject(tmp_path)
    with Holder(tmp_path, "announce") as holder:
        holder.kill()
        assert (tmp_path / ".triggerfish/local/up.json").exists()
        with pytest.raises(Unavailable) as caught:
            project.expect_running()
    assert caught.value.message == f"no local cloud runs in {tmp_path}"
    assert caught.value.hint == "start it with `triggerfish up`"


def test_next_one_begins_without_what_a_killed_one_announced(tmp_path: Path) -> None:
    project = LocalProject(tmp_path)
    with Holder(tmp_path, "announce") as holder:
        holder.kill()
    with project.locked():
        assert project.running() is None
        with pytest.raises(Unavailable):
            project.expect_running()


def test_none_ever_ran(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="no local cloud runs in"):
        LocalProject(tmp_path).expect_running()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": "x"}'])
def test_announcement_that_cannot_be_read_is_none(tmp_path: Path, text: str) -> None:
    project = LocalProject(tmp_path)
    with project.locked():
        (tmp_path / ".triggerfish/local/up.json").write_text(text)
        with pytest.raises(Unavailable):
            project.expect_running()


def test_end_takes_the_announcement_away(tmp_path: Path) -> None:
    project = LocalProject(tmp_path)
    with project.locked():
        project.announce(make_running())
    assert sorted(path.name for path in (tmp_path / ".triggerfish/local").iterdir()) == ["lock"]


def test_failure_gives_the_place_back(tmp_path: Path) -> None:
    project = LocalProject(tmp_path)
    with pytest.raises(ZeroDivisionError), project.locked():
        raise ZeroDivisionError
    with project.locked():
        pass


def test_commands_that_look_whether_one_runs_never_keep_one_from_starting(tmp_path: Path) -> None:
    project, enough = LocalProject(tmp_path), threading.Event()
    with project.locked():
        pass

    def look() -> None:
        while not enough.is_set():
            with pytest.raises(Unavailable):
                LocalProject(tmp_path).expect_running()

    looking = [threading.Thread(target=look) for _ in range(3)]
    for thread in looking:
        thread.start()
    try:
        for _ in range(30):
            with project.locked():
                pass
    finally:
        enough.set()
        for thread in looking:
            thread.join()


def test_part_of_a_killed_one_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two parts on one folder of state would ruin it."""
    monkeypatch.setattr(project_module, "PARTS_LEAVE_S", 0.05)
    project = LocalProject(tmp_path)
    with project.locked(), project.free_of_parts() as place:
        part = subprocess.Popen(
            [sys.executable, "-c", "import sys; sys.stdin.read()"],
            stdin=subprocess.PIPE,
            pass_fds=[place],
        )
    with part:
        with project.locked():
            with pytest.raises(Unavailable) as caught, project.free_of_parts():
                pass
            assert caught.value.message == (
                f"parts of a local cloud that was killed still run in {tmp_path}"
            )
            assert caught.value.hint == "try again in a few seconds"
        monkeypatch.setattr(project_module, "PARTS_LEAVE_S", 20)
        threading.Timer(0.1, lambda: part.stdin and part.stdin.close()).start()
        with project.locked(), project.free_of_parts():
            assert part.wait(0.5) == 0


def test_state_is_forgotten_and_what_was_built_is_not(tmp_path: Path) -> None:
    project = LocalProject(tmp_path)
    for path in (project.state / "aws" / "x", project.logs / "aws.log", project.cache / "y.zip"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    project.forget_state()
    assert not project.state.exists()
    assert not project.logs.exists()
    assert (project.cache / "y.zip").exists()
    project.forget_state()

"""A child is found ready or its last words are told, and it ends whatever it does."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from triggerfish.errors import Unavailable
from triggerfish.local import process
from triggerfish.local.process import Child

if TYPE_CHECKING:
    from pathlib import Path

    from tests.local.conftest import Start

READY = """
import sys
from triggerfish.local import child
child.announce("http://127.0.0.1:1", parts=3)
child.serve_until_parent_exits(lambda: None)
"""
DEAF = """
import signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print('{"ready": true}', flush=True)
time.sleep(60)
"""


def test_announcement_of_a_child_is_given(start: Start) -> None:
    assert start(READY).wait_until_ready() == {
        "ready": True,
        "url": "http://127.0.0.1:1",
        "parts": 3,
    }


def test_child_that_ends_at_once_shows_its_exit_status_and_its_last_words(
    start: Start, tmp_path: Path
) -> None:
    code = "import sys; [print('word', n, file=sys.stderr) for n in range(20)]; sys.exit(7)"
    with pytest.raises(Unavailable) as caught:
        start(code).wait_until_ready()
    words = "".join(f"\n  word {n}" for n in range(8, 20))
    assert caught.value.message == f"sample ended with exit status 7{words}"
    assert caught.value.hint == f"its whole log: {tmp_path}/logs/sample.log"


def test_last_words_are_of_this_run(start: Start, tmp_path: Path) -> None:
    log = tmp_path / "logs" / "sample.log"
    log.parent.mkdir()
    log.write_text("yesterday's trouble\n")
    with pytest.raises(Unavailable) as caught:
        start("import sys; sys.exit('today')").wait_until_ready()
    assert caught.value.message == "sample ended with exit status 1\n  today"
    assert log.read_text() == "yesterday's trouble\ntoday\n"


def test_child_that_does_not_get_ready_is_not_waited_for_any_longer(start: Start) -> None:
    began = time.monotonic()
    with pytest.raises(Unavailable, match=r"^sample didn't get ready"):
        start("import time; time.sleep(60)").wait_until_ready(0.1)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    "said",
    ["b'hello\\n'", "b'[true]\\n'", "b'{\"ready\": false}\\n'", "b'\\xff\\xfe\\n'", "b'{}'"],
)
def test_what_is_no_announcement_is_not_ready(start: Start, said: str) -> None:
    code = f"import sys; sys.stdout.buffer.write({said}); sys.stdout.flush(); sys.stdin.read()"
    child = start(code)
    with pytest.raises(Unavailable, match=r"^sample didn't get ready"):
        child.wait_until_ready(1)


def test_child_leaves_when_it_is_asked(start: Start) -> None:
    child = start(READY)
    child.wait_until_ready()
    assert child.exit_code is None
    child.stop()
    assert child.exit_code == 0


def test_child_that_is_deaf_is_killed(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "SECONDS_TO_STOP", -0.9)
    child = start(DEAF)
    child.wait_until_ready()
    child.stop()
    assert child.exit_code == -9


def test_child_is_stopped_twice_without_harm(start: Start) -> None:
    child = start(READY)
    child.wait_until_ready()
    child.stop()
    child.ask_to_stop()
    child.stop()
    assert child.exit_code == 0


def test_child_has_the_environment_that_it_is_given(start: Start) -> None:
    code = "import json, os; print(json.dumps({'ready': True, **os.environ})); input()"
    told = start(code, environment={"WORD": "a", "LC_ALL": "C.UTF-8"}).wait_until_ready()
    assert {key: told[key] for key in told if key != "LC_CTYPE"} == {
        "ready": True,
        "WORD": "a",
        "LC_ALL": "C.UTF-8",
    }


def test_child_is_not_in_the_terminals_process_group(start: Start) -> None:
    """Ctrl-C reaches us alone; we stop the children in order."""
    child = start(READY)
    child.wait_until_ready()
    assert os.getpgid(child.pid) == child.pid != os.getpgid(0)


def test_child_keeps_what_it_inherits_open(start: Start) -> None:
    reading, writing = os.pipe()
    child = start(READY, inherited=[writing])
    os.close(writing)
    child.wait_until_ready()
    child.stop()
    assert os.read(reading, 1) == b""  # the child was the last to hold it
    os.close(reading)


def test_program_that_is_not_there_leaves_nothing_open(tmp_path: Path) -> None:
    """What is left open would be warned of, and a warning fails a test."""
    with pytest.raises(Unavailable, match=r"^sample can't be started: .*No such file"):
        Child("sample", [str(tmp_path / "nothing")], log=tmp_path / "sample.log")

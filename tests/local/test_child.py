"""A child of the local cloud never outlives its parent, nor a `stop` that hangs."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVER = """
import sys
from triggerfish.local import child
child.announce("http://127.0.0.1:1", port=1)
child.serve_until_parent_exits(lambda: print("stopped", file=sys.stderr))
"""
HANGS = """
import time
from triggerfish.local import child
child.SECONDS_TO_STOP = 0.2
child.announce("http://127.0.0.1:1")
child.serve_until_parent_exits(lambda: time.sleep(60))
"""


@contextmanager
def running(code: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def announced(process: subprocess.Popen[str]) -> object:
    assert process.stdout is not None
    return json.loads(process.stdout.readline())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_it_in_order(number: signal.Signals) -> None:
    with running(SERVER) as process:
        assert announced(process) == {"ready": True, "url": "http://127.0.0.1:1", "port": 1}
        process.send_signal(number)
        assert process.communicate(timeout=10) == ("", "stopped\n")
        assert process.returncode == 0


def test_end_of_its_input_ends_it_in_order() -> None:
    """A parent that is killed says nothing more; the kernel closes the pipe."""
    with running(SERVER) as process:
        announced(process)
        assert process.communicate(timeout=10) == ("", "stopped\n")
        assert process.returncode == 0


def test_words_on_its_input_do_not_end_it() -> None:
    with running(SERVER) as process:
        announced(process)
        assert process.stdin is not None
        process.stdin.write("anything\n")
        process.stdin.flush()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.2)


def test_stop_that_hangs_does_not_keep_it() -> None:
    with running(HANGS) as process:
        announced(process)
        process.communicate(timeout=10)
        assert process.returncode == 1

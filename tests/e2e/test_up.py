"""`triggerfish up` and how it ends: in order, by force, in part, or before it was ready."""

from __future__ import annotations

import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from tests.e2e.configs import HEAD, group, jenkins
from tests.e2e.running import Up, eventually, make_project, run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.conftest import Start

pytestmark = pytest.mark.cloud

SMALL = HEAD + jenkins("main") + group("web")
PARTS = ["aws", "fleet", "sandbox", "jenkins-main"]


def ports_of(up: Up) -> list[int]:
    return [int(url.rpartition(":")[2]) for url in up.running.addresses.values()]


def listening(up: Up) -> set[tuple[str, int]]:
    """Every address that a process of it listens on, or takes datagrams at."""
    sockets: list[Any] = []
    for process in [psutil.Process(up.process.pid), *up.parts()]:
        with suppress(psutil.NoSuchProcess):
            sockets += process.net_connections("inet")
    return {tuple(one.laddr) for one in sockets if one.laddr and not one.raddr}


def taken(ports: list[int]) -> list[int]:
    """Those that somebody listens on."""
    sockets: list[Any] = psutil.net_connections("tcp")
    heard = {one.laddr.port for one in sockets if one.status == psutil.CONN_LISTEN}
    return [port for port in ports if port in heard]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_stops_everything(start: Start, number: signal.Signals) -> None:
    up = start(SMALL).ready()
    ports = ports_of(up)
    assert list(up.running.addresses) == PARTS
    assert taken(ports) == ports
    assert up.stop(number) == 0
    assert up.left() == []
    assert taken(ports) == []
    assert up.said().splitlines()[-2:] == ["stopping", "stopped"]
    assert not (up.folder / ".triggerfish/local/up.json").exists()
    done = up.command("members")
    assert (done.returncode, done.stdout) == (3, "")


def test_impatient_person_leaves_nothing_behind_either(start: Start) -> None:
    up = start(SMALL).ready()
    for _ in range(3):
        up.process.send_signal(signal.SIGINT)
    assert up.process.wait(20) in {0, 130}
    eventually(lambda: not up.left(), "all parts have left", within_s=5)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_while_it_starts_stops_everything(start: Start, number: signal.Signals) -> None:
    up = start(SMALL)
    eventually(lambda: len(up.parts()) >= 3, "its first parts were started")
    assert up.stop(number) == 130
    assert up.left() == []
    assert "Traceback" not in up.said()


def test_person_is_told_where_everything_is(shared: Up) -> None:
    said = shared.said().splitlines()
    assert said[0].startswith("stack shop-local is up in ")
    for name, url in shared.running.addresses.items():
        assert f"  {name:<14} {url}" in said


def test_second_one_is_told_of_the_first_and_harms_nothing(shared: Up) -> None:
    done = run(shared.folder, "up")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(
        "error: a local cloud runs here already"
        f" (process {shared.process.pid}): aws at {shared.running.addresses['aws']}, "
    )
    assert "hint: use it from any terminal in this project" in done.stderr
    assert shared.process.poll() is None
    assert shared.data("members", "quiet") == []


def test_everything_listens_on_loopback_only(shared: Up) -> None:
    found = listening(shared)
    assert {host for host, _ in found} == {"127.0.0.1"}
    assert {port for _, port in found} >= set(ports_of(shared))


def test_part_that_falls_takes_the_rest_with_it(start: Start) -> None:
    up = start(SMALL).ready()
    log = up.folder / ".triggerfish/local/logs/fleet.log"
    up.part("triggerfish.local.fleet").kill()
    assert up.process.wait(20) == 1
    assert up.left() == []
    assert up.said().splitlines()[-3:] == [
        "stopping",
        "error: fleet ended by itself, so the local cloud was stopped",
        f"hint: its last words are in {log}",
    ]


def test_parts_of_one_that_is_killed_leave_and_the_next_one_has_its_state(start: Start) -> None:
    up = start(SMALL).ready()
    assert up.command("send", "launch", "--group", "web").returncode == 0
    member = up.wait_for("web", 1)[0]
    ports = ports_of(up)
    up.close()
    up.process.kill()
    up.process.wait()
    again = start(SMALL).ready()  # at once: the parts of the first are still about to leave
    assert up.left() == []
    assert ports_of(again) == ports
    assert again.wait_for("web", 1) == [member]
    assert again.stop() == 0
    assert again.left() == []


def test_start_that_fails_says_why_and_leaves_nothing(start: Start, tmp_path: Path) -> None:
    state = tmp_path / ".triggerfish/local/state/aws"
    state.parent.mkdir(parents=True)
    state.write_text("a file where the state's folder belongs")
    up = start(SMALL)
    eventually(lambda: up.parts() and up.process.poll() is not None, "it gave up")
    assert up.process.returncode == 3
    assert up.left() == []
    said = up.said()
    assert said.startswith("error: aws ended with exit status 1\n")
    assert f"hint: its whole log: {tmp_path}/.triggerfish/local/logs/aws.log\n" in said
    assert not (tmp_path / ".triggerfish/local/up.json").exists()
    state.unlink()
    assert start(SMALL).ready().stop() == 0


def test_deployment_that_fails_says_why_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parts serve already when the function's packages can't be fetched for the first time."""
    monkeypatch.setenv("UV_INDEX_URL", "http://127.0.0.1:9/")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    up = Up(make_project(tmp_path / "project", SMALL))
    eventually(lambda: up.parts() and up.process.poll() is not None, "it gave up")
    assert up.process.returncode == 3
    assert up.left() == []
    assert up.said().startswith("error: uv can't install the requirements for Python ")
    assert "hint: the package index must be reachable the first time" in up.said()
    assert "Traceback" not in up.said()


@pytest.mark.usefixtures("shared")
def test_environment_of_the_person_does_not_lead_the_parts_astray(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = "http://127.0.0.1:9"
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SQS", "HTTP_PROXY", "https_proxy"):
        monkeypatch.setenv(name, nowhere)
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    monkeypatch.setenv("MINISTACK_REGION", "us-west-2")
    up = start(SMALL).ready()
    assert up.command("send", "launch", "--group", "web").returncode == 0
    assert up.wait_for("web", 1)[0]["zone"].startswith("eu-central-1")
    assert up.stop() == 0

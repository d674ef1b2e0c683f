from __future__ import annotations

import signal
import subprocess
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.local.emulator import kit
from triggerfish.local.environments import emulator_python

if TYPE_CHECKING:
    from pathlib import Path

    from tests.local.emulator.kit import Emulator, Sandbox

pytestmark = pytest.mark.cloud


def test_nothing_listens_but_one_loopback_port(emulator: Emulator) -> None:
    """MiniStack by default takes 0.0.0.0, an SFTP and an MQTT port."""
    emulator.client("transfer").create_server(Protocols=["SFTP"])
    emulator.client("sqs").list_queues()
    process = psutil.Process(emulator.process.pid)
    listening = [
        found.laddr
        for each in (process, *process.children(recursive=True))
        for found in each.net_connections(kind="inet")
        if found.status == psutil.CONN_LISTEN
    ]
    assert listening == [("127.0.0.1", emulator.port)]
    assert process.net_connections(kind="udp") == []


def test_it_leaves_within_two_seconds_when_its_parent_dies(alone: Emulator) -> None:
    assert alone.stop() < 2.0
    assert alone.process.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_it_leaves_when_told(alone: Emulator, number: signal.Signals) -> None:
    alone.process.send_signal(number)
    assert alone.process.wait(2.0) == 0


def test_it_leaves_in_time_while_a_function_runs(alone: Emulator, sandbox: Sandbox) -> None:
    called = kit.name()
    arn = kit.make_function(alone, called)
    sandbox.answer(called, lambda _event: kit.Answer(status=429))
    alone.client("lambda").invoke(FunctionName=arn, InvocationType="Event", Payload=b"{}")
    sandbox.wait(called, 1)
    assert alone.stop() < 2.0


def test_a_ready_line_is_all_it_says_on_stdout(alone: Emulator) -> None:
    alone.client("sqs").list_queues()
    alone.process.send_signal(signal.SIGTERM)
    alone.process.wait(5.0)
    assert alone.process.stdout is not None
    assert alone.process.stdout.read() == b""


def get(url: str, **headers: str) -> int:
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    request = urllib.request.Request(url, headers=named)  # noqa: S310 loopback
    try:
        with urllib.request.urlopen(request, timeout=5) as response:  # noqa: S310 loopback
            status: int = response.status
            return status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_programs_of_this_machine_are_answered(emulator: Emulator) -> None:
    assert get(f"{emulator.url}/_ministack/health") == 200
    assert get(f"{emulator.url}/_ministack/health", Host="localhost:80") == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://example.com"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Host": "rebound.example.com"},
    ],
    ids=["a page's request", "a navigation", "a rebound name"],
)
def test_web_pages_are_refused(emulator: Emulator, headers: dict[str, str]) -> None:
    assert get(f"{emulator.url}/_ministack/health", **headers) == 403


@pytest.mark.parametrize(
    ("service", "call", "variable"),
    [
        ("autoscaling", "describe_auto_scaling_groups", "AWS_ENDPOINT_URL_AUTO_SCALING"),
        ("ec2", "describe_instances", "AWS_ENDPOINT_URL_EC2"),
        ("elbv2", "describe_load_balancers", "AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2"),
    ],
)
def test_services_of_the_fleet_are_refused_by_name(
    emulator: Emulator, service: str, call: str, variable: str
) -> None:
    client = emulator.client(service)
    with pytest.raises(client.exceptions.ClientError) as caught:
        getattr(client, call)()
    error = caught.value.response["Error"]
    assert error["Code"] == "WrongEndpoint"
    assert variable in error["Message"]


def test_another_release_is_refused(tmp_path: Path) -> None:
    """The sentence names both releases; nothing is served."""
    script = (
        "import sys; sys.argv[1:] = sys.argv[2:]\n"
        f"sys.path.insert(0, {str(kit.LAUNCHER.parent)!r})\n"
        "import importlib.metadata as found\n"
        "real = found.version\n"
        "found.version = lambda name: '1.6.0' if name == 'ministack' else real(name)\n"
        "import launcher; launcher.main()\n"
    )
    words = ["-", "--port", "0", "--state", str(tmp_path), "--sandbox-url", "http://127.0.0.1:9/"]
    done = subprocess.run(
        [emulator_python(), "-c", script, *words],
        capture_output=True,
        stdin=subprocess.DEVNULL,
        check=False,
        timeout=30,
    )
    assert done.stdout == b""
    told = done.stderr.decode().strip().splitlines()[-1]
    assert "this Triggerfish knows ministack 1.5.33, found 1.6.0" in told
    assert done.returncode != 0

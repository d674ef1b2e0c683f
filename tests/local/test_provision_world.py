"""The world that the config speaks of: Jenkins stand-ins, their jobs, secrets and zones."""

from __future__ import annotations

import http.server
import json
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar, cast

import pytest

from triggerfish.config.load import parse
from triggerfish.errors import Refused
from triggerfish.local.provision import PARAMETERS, ProvisionWorld

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from triggerfish.runtime.aws import Clients

HEAD = 'name = "shop"\nregion = "eu-west-1"\n'
REFERENCE = "ssm:/shop/jenkins-token"
GROUPS = """
[[provision]]
group = "web"
name = "web-{number}"
domain = "web-{number}.internal.example.com"
zone = "internal.example.com"
jenkins = "main"
jobs = ["infra/provision", "app/deploy"]
parameters = { ROLE = "web", HOST = "{domain}" }
[[provision]]
group = "worker"
name = "worker-{number}"
domain = "worker-{number}.internal.example.com"
zone = "internal.example.com"
jenkins = "main"
jobs = ["infra/provision"]
parameters = { SIZE = "4" }
"""


def jenkins(token: str = REFERENCE, url: str = "https://jenkins.invalid") -> str:
    return f'[jenkins.main]\nurl = "{url}"\nuser = "ana"\ntoken = "{token}"\n'


def make_world(folder: Path, server: str) -> ProvisionWorld:
    return ProvisionWorld(parse(HEAD + server + GROUPS), folder / "state", build_s=0.4)


class Server:
    """Answers everything with 200 and a Jenkins' version, if any, and keeps what was PUT."""

    def __init__(self, headers: dict[str, str]) -> None:
        kept: list[tuple[str, Any]] = []

        class Handler(http.server.BaseHTTPRequestHandler):
            sent: ClassVar[dict[str, str]] = headers

            def _answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                if body:
                    kept.append((self.path, json.loads(body)))
                self.send_response(200)
                for name, value in {**self.sent, "Content-Length": "2"}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(b"{}")

            def do_GET(self) -> None:
                self._answer()

            def do_PUT(self) -> None:
                self._answer()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.kept = kept
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def real() -> Iterator[Server]:
    server = Server({"X-Jenkins": "2.516.3", "Content-Type": "application/json"})
    yield server
    server.close()


@pytest.fixture
def other() -> Iterator[Server]:
    server = Server({})
    yield server
    server.close()


def test_jenkins_that_is_not_there_has_a_stand_in(tmp_path: Path) -> None:
    world = make_world(tmp_path, jenkins())
    assert list(world.stand_ins(probe=True)) == ["main"]


def test_jenkins_that_answers_is_used_itself(tmp_path: Path, real: Server) -> None:
    world = make_world(tmp_path, jenkins(url=real.url))
    assert world.stand_ins(probe=True) == {}
    assert world.template_parameters({}) == {}


def test_what_answers_and_is_no_jenkins_is_not_used(tmp_path: Path, other: Server) -> None:
    assert list(make_world(tmp_path, jenkins(url=other.url)).stand_ins(probe=True)) == ["main"]


def test_demo_uses_no_jenkins_of_anyone(tmp_path: Path, real: Server) -> None:
    world = make_world(tmp_path, jenkins(url=real.url))
    assert list(world.stand_ins(probe=False)) == ["main"]


def test_token_of_a_stand_in_is_made_up_and_on_no_command_line(tmp_path: Path) -> None:
    world, again = make_world(tmp_path, jenkins()), make_world(tmp_path, jenkins())
    command = world.stand_ins(probe=False)["main"]
    again.stand_ins(probe=False)
    assert len(world.token_of("main")) == 32
    assert world.token_of("main") != again.token_of("main")
    assert world.token_of("main") not in " ".join(command)
    assert f"--state={tmp_path}/state/jenkins/main" in command
    assert "--user=ana" in command


def test_token_in_the_persons_environment_is_the_stand_ins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_TOKEN", "from the environment")
    world = make_world(tmp_path, jenkins("env:SHOP_TOKEN"))
    world.stand_ins(probe=False)
    assert world.token_of("main") == "from the environment"
    assert world.secret_variables == {"SHOP_TOKEN": "from the environment"}


def test_token_that_the_environment_lacks_is_made_up_for_a_stand_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SHOP_TOKEN", raising=False)
    world = make_world(tmp_path, jenkins("env:SHOP_TOKEN"))
    world.stand_ins(probe=False)
    assert world.secret_variables == {"SHOP_TOKEN": world.token_of("main")}


def test_token_that_a_real_jenkins_needs_and_the_environment_lacks_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, real: Server
) -> None:
    monkeypatch.delenv("SHOP_TOKEN", raising=False)
    world = make_world(tmp_path, jenkins("env:SHOP_TOKEN", real.url))
    with pytest.raises(Refused) as caught:
        world.stand_ins(probe=True)
    assert caught.value.message == (
        "jenkins.main.token is env:SHOP_TOKEN, and the variable SHOP_TOKEN isn't set"
    )


def test_jobs_of_all_groups_take_what_any_of_them_sends(tmp_path: Path, other: Server) -> None:
    """The last job of a group is what makes its servers healthy."""
    world = make_world(tmp_path, jenkins())
    world._put_jobs(other.url, "main", "http://127.0.0.1:5000")
    assert other.kept == [
        (
            "/_stand-in/jobs",
            [
                {
                    "name": "infra/provision",
                    "duration_s": 0.4,
                    "parameters": [*PARAMETERS, "ROLE", "HOST", "SIZE"],
                    "on_success": "http://127.0.0.1:5000/_fleet/provisioned",
                },
                {
                    "name": "app/deploy",
                    "duration_s": 0.4,
                    "parameters": [*PARAMETERS, "ROLE", "HOST"],
                    "on_success": "http://127.0.0.1:5000/_fleet/provisioned",
                },
            ],
        )
    ]


def test_stack_and_commands_are_given_the_address_of_the_stand_in(tmp_path: Path) -> None:
    world = make_world(tmp_path, jenkins())
    world.stand_ins(probe=False)
    addresses = {"jenkins-main": "http://127.0.0.1:8080"}
    zone = {
        "Id": "/hostedzone/Z1",
        "Name": "internal.example.com.",
        "Config": {"PrivateZone": True},
    }
    route53 = SimpleNamespace(
        list_hosted_zones_by_name=lambda **_: {"HostedZones": [zone], "IsTruncated": False}
    )
    clients = cast("Clients", SimpleNamespace(route53=route53))
    assert world.template_parameters(addresses) == {"JenkinsMainUrl": "http://127.0.0.1:8080"}
    assert world.function_parameters(clients, addresses) == {
        "zone internal.example.com": "Z1",
        "jenkins main": "http://127.0.0.1:8080",
    }

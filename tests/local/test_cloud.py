"""The local cloud as a whole: whatever ends it, its parts end too and the project is free again."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import psutil
import pytest

from triggerfish.config.load import parse
from triggerfish.errors import Refused, Unavailable
from triggerfish.local import cloud as cloud_module
from triggerfish.local.clients import clients_of
from triggerfish.local.cloud import LocalCloud
from triggerfish.local.project import LocalProject

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CONFIG = 'name = "shop"\nregion = "eu-west-1"\n'
SERVES = """
from triggerfish.local import child
child.announce("http://127.0.0.1:1")
child.serve_until_parent_exits(lambda: None)
"""
FAILS = "import sys; sys.exit('no luck')"


class SmallCloud(LocalCloud):
    """Parts that are a line of Python each, and a deployment that does what a test wants."""

    programs: tuple[str, ...] = (SERVES, SERVES)
    deployment: Callable[[], None] = staticmethod(lambda: None)

    def _start(self) -> None:
        for number, program in enumerate(self.programs):
            self.addresses[f"part-{number}"] = f"http://127.0.0.1:{number}"
            self._child(f"part-{number}", [sys.executable, "-c", program])
        for child in self.children.values():
            child.wait_until_ready()

    def _deploy(self) -> dict[str, str]:
        type(self).deployment()
        return {"zone internal.example.com": "Z1"}


def make_cloud(
    folder: Path, kind: type[LocalCloud] = SmallCloud, *, fresh: bool = False
) -> LocalCloud:
    return kind(project=LocalProject(folder), config=parse(CONFIG), say=lambda _: None, fresh=fresh)


def runs(cloud: LocalCloud) -> list[str]:
    return [name for name, child in cloud.children.items() if psutil.pid_exists(child.pid)]


def test_inside_it_runs_and_outside_it_does_not(tmp_path: Path) -> None:
    project = LocalProject(tmp_path)
    with make_cloud(tmp_path) as cloud:
        assert runs(cloud) == ["part-0", "part-1"]
        assert cloud.fallen() is None
        running = project.expect_running()
        assert (running.stack, running.region) == ("shop-local", "eu-west-1")
        assert running.addresses == {"part-0": "http://127.0.0.1:0", "part-1": "http://127.0.0.1:1"}
        assert running.parameters == {"zone internal.example.com": "Z1"}
        assert cloud.timings is not None
    assert runs(cloud) == []
    with pytest.raises(Unavailable):
        project.expect_running()


def test_second_one_is_refused_and_does_not_disturb_the_first(tmp_path: Path) -> None:
    with make_cloud(tmp_path) as first:
        with pytest.raises(Refused, match="a local cloud runs here already"), make_cloud(tmp_path):
            pass
        assert runs(first) == ["part-0", "part-1"]
        assert LocalProject(tmp_path).expect_running().stack == "shop-local"


def test_second_one_does_not_forget_the_state_of_the_first(tmp_path: Path) -> None:
    with make_cloud(tmp_path):
        kept = tmp_path / ".triggerfish/local/state/kept"
        kept.parent.mkdir(parents=True)
        kept.write_text("")
        with pytest.raises(Refused), make_cloud(tmp_path, fresh=True):
            pass
        assert kept.exists()
    with make_cloud(tmp_path, fresh=True):
        assert not kept.exists()


def test_part_that_fails_to_start_ends_the_others(tmp_path: Path) -> None:
    class Failing(SmallCloud):
        programs = (SERVES, FAILS, SERVES)

    cloud = make_cloud(tmp_path, Failing)
    with pytest.raises(Unavailable) as caught, cloud:
        pass
    assert caught.value.message == "part-1 ended with exit status 1\n  no luck"
    assert sorted(cloud.children) == ["part-0", "part-1", "part-2"]
    assert runs(cloud) == []
    with make_cloud(tmp_path):
        pass


@pytest.mark.parametrize("error", [Refused("the template is wrong"), KeyboardInterrupt()])
def test_deployment_that_fails_ends_the_parts(tmp_path: Path, error: BaseException) -> None:
    def fail() -> None:
        raise error

    class Undeployable(SmallCloud):
        deployment = staticmethod(fail)

    cloud = make_cloud(tmp_path, Undeployable)
    with pytest.raises(type(error)), cloud:
        pass
    assert runs(cloud) == []
    assert LocalProject(tmp_path).running() is None


def test_part_that_falls_is_named(tmp_path: Path) -> None:
    with make_cloud(tmp_path) as cloud:
        process = psutil.Process(cloud.children["part-1"].pid)
        process.kill()
        process.wait(5)
        assert cloud.fallen() == "part-1"


def test_environment_of_a_part_leads_nowhere_but_here(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("AWS_PROFILE", "AWS_ENDPOINT_URL_SQS", "MINISTACK_REGION", "MOTO_PORT", "https_proxy")
    for name in (*names, "NO_PROXY"):
        monkeypatch.setenv(name, "http://proxy.example.com")
    monkeypatch.setenv("WORD", "kept")
    environment = cloud_module._environment()
    assert environment["WORD"] == "kept"
    assert environment["AWS_EC2_METADATA_DISABLED"] == "true"
    assert {*names, "NO_PROXY"} & environment.keys() == set()


def test_clients_speak_to_the_local_cloud_only() -> None:
    clients = clients_of(
        {"aws": "http://127.0.0.1:4566", "fleet": "http://127.0.0.1:5000"}, "eu-west-1"
    )
    endpoints = {
        service: clients.client(service).meta.endpoint_url
        for service in ("sqs", "route53", "autoscaling", "ec2", "elbv2")
    }
    clients.close()
    assert endpoints == {
        "sqs": "http://127.0.0.1:4566",
        "route53": "http://127.0.0.1:4566",
        "autoscaling": "http://127.0.0.1:5000",
        "ec2": "http://127.0.0.1:5000",
        "elbv2": "http://127.0.0.1:5000",
    }

"""`send`: its command line, and what AWS refuses, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from triggerfish.cli import stage as stage_module
from triggerfish.cli.stage import OpenStage
from triggerfish.local.clients import clients_of
from triggerfish.local.fleet import actions
from triggerfish.runtime.table import DynamoTable

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.project import Project

NOWHERE = {"aws": "http://127.0.0.1:9", "fleet": "http://127.0.0.1:9"}


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """A local cloud seems to run; whatever is asked of it is answered by nobody."""
    clients = clients_of(NOWHERE, "eu-west-1")

    def open_stage(_: object) -> OpenStage:
        return OpenStage(
            stack="shop-local",
            clients=clients,
            table=DynamoTable(clients.dynamodb, "shop-local-state"),
            parameters={},
            addresses=NOWHERE,
        )

    monkeypatch.setattr(stage_module, "open_stage", open_stage)


def answering(*instances: str) -> Callable[..., tuple[str, ...]]:
    return lambda *_, **__: instances


def failing(error: Exception) -> Callable[..., tuple[str, ...]]:
    def fail(*_: object, **__: object) -> tuple[str, ...]:
        raise error

    return fail


def client_error(code: str, message: str) -> ClientError:
    told: Any = {"Error": {"Code": code, "Message": message}}
    return ClientError(told, "SetDesiredCapacity")


EVENTS = [
    ("launch", "launched"),
    ("terminate", "terminated"),
    ("standby", "went to standby and back"),
    ("attach", "attached"),
    ("duplicate", "announced again"),
]


@pytest.mark.usefixtures("opened")
@pytest.mark.parametrize(("event", "what"), EVENTS)
def test_event_tells_whom_it_concerns(
    project: Project, monkeypatch: pytest.MonkeyPatch, event: str, what: str
) -> None:
    monkeypatch.setattr(actions, event, answering("i-1", "i-2"))
    command = f"send {event} --group web --count 2"
    assert project.run(command) == (0, f"i-1 {what}\ni-2 {what}\n", "")
    assert project.data(command) == {"instances": ["i-1", "i-2"]}


@pytest.mark.usefixtures("opened")
@pytest.mark.parametrize("event", [event for event, _ in EVENTS if event != "duplicate"])
def test_what_aws_refuses_is_said_in_words(
    project: Project, monkeypatch: pytest.MonkeyPatch, event: str
) -> None:
    error = client_error("ValidationError", "1005 is above max value 1000")
    monkeypatch.setattr(actions, event, failing(error))
    assert project.run(f"send {event} --group web") == (
        1,
        "",
        f"error: send {event}, group web: ValidationError: 1005 is above max value 1000\n",
    )


@pytest.mark.usefixtures("opened")
def test_aws_that_is_away_is_to_be_tried_later(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = EndpointConnectionError(endpoint_url="http://127.0.0.1:9/")
    monkeypatch.setattr(actions, "launch", failing(error))
    code, out, err = project.run("send launch --group web")
    assert (code, out) == (3, "")
    assert err.startswith("error: send launch, group web: EndpointConnectionError: ")


@pytest.mark.usefixtures("opened")
def test_fleet_that_is_away_is_to_be_tried_later(project: Project) -> None:
    code, out, err = project.run("send duplicate --group web")
    assert (code, out) == (3, "")
    assert err.startswith("error: the local fleet at http://127.0.0.1:9 can't be reached: ")


@pytest.mark.usefixtures("opened")
def test_only_the_local_stage_repeats_a_notification(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = stage_module.open_stage(None)  # type: ignore[arg-type]
    on_aws = OpenStage(
        stack="shop-prod", clients=local.clients, table=local.table, parameters={}, addresses={}
    )
    monkeypatch.setattr(stage_module, "open_stage", lambda _: on_aws)
    assert project.run("send duplicate --group web --stage prod") == (
        1,
        "",
        "error: only the local stage repeats a notification; AWS does so by itself\n",
    )


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("send launch", "Missing option '--group'."),
        ("send launch --group web --count 0", "Invalid value for '--count': "),
        ("send launch --group web --count many", "Invalid value for '--count': "),
        ("send lauch --group web", "No such command 'lauch'. Did you mean 'launch'?"),
    ],
)
def test_wrong_command_line(project: Project, command: str, said: str) -> None:
    code, out, err = project.run(command)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {said}")
    assert " --help lists what it takes\n" in err


def test_send_alone_shows_its_help(project: Project) -> None:
    code, out, err = project.run("send")
    assert code == 2
    assert "duplicate" in out + err

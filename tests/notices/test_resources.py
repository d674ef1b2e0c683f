from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.samples import Settings
from tests.deploy.test_cfn_lint import findings
from tests.notices.world import make_channel, make_settings
from triggerfish.blueprint import Blueprint, Function, Queue, QueueSource, ScheduleSource
from triggerfish.codec import decode
from triggerfish.deploy.imports import closure, missing_problems
from triggerfish.deploy.template import build_template
from triggerfish.notices.config import Notices, NoticesSettings
from triggerfish.notices.resources import blueprint

SOURCE = Path(__file__).parents[2] / "src"
ARN = "arn:${AWS::Partition}"


@dataclass
class Functions:
    memory: int | None = None


@dataclass
class Config:
    name: str = "shop"
    functions: Functions = field(default_factory=Functions)
    notices: Notices | None = field(default_factory=make_settings)


WITH_CHANNELS = Config(notices=make_settings(channels=(make_channel("slack"),)))


def function(config: Config) -> Function:
    (made,) = blueprint(config, "local").functions
    return made


def calls(config: Config) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for call in function(config).calls:
        found.setdefault(call.action, set()).add(call.resource)
    return found


def test_without_notices_nothing_is_needed() -> None:
    assert blueprint(Config(notices=None), "local") == Blueprint()


def test_one_queue_takes_the_notices_of_all_triggers() -> None:
    made = blueprint(Config(), "prod")
    assert made.queues == (Queue(id="Notices", name="shop-prod-notices", visibility_timeout_s=720),)
    assert made.outputs == (("NoticesQueue", "${NoticesQueue}"),)


def test_the_function_is_woken_by_the_queue_each_minute_and_each_monday() -> None:
    queue, outbox, canary = function(Config()).sources
    assert queue == QueueSource(queue="Notices", batch_size=10, maximum_concurrency=4)
    assert isinstance(outbox, ScheduleSource)
    assert isinstance(canary, ScheduleSource)
    assert (outbox.id, outbox.expression) == ("NoticesOutbox", "rate(1 minute)")
    assert json.loads(outbox.input)["schedule"] == "notices-outbox"
    assert (canary.id, canary.expression) == ("NoticesCanary", "cron(0 8 ? * MON *)")
    assert json.loads(canary.input)["schedule"] == "notices-canary"


def test_the_canary_can_be_switched_off() -> None:
    assert len(function(Config(notices=make_settings(canary=False))).sources) == 2


def test_the_function_wakes_itself_and_has_the_memory_it_is_given() -> None:
    assert function(Config()).wakes_itself is True
    assert function(Config()).memory_mb == 256
    assert function(Config(functions=Functions(memory=512))).memory_mb == 512


def test_a_message_is_hidden_for_six_times_as_long_as_the_function_may_take() -> None:
    made = blueprint(Config(), "local")
    assert made.queues[0].visibility_timeout_s == 6 * made.functions[0].timeout_s


def test_the_settings_are_baked_in_without_secrets() -> None:
    made = function(WITH_CHANNELS)
    assert WITH_CHANNELS.notices is not None
    assert decode(made.settings, NoticesSettings) == NoticesSettings(notices=WITH_CHANNELS.notices)
    assert b"ssm:/shop/slack" in made.settings


def test_the_environment_says_where_everything_is() -> None:
    assert dict(function(Config()).environment) == {
        "TRIGGERFISH_STAGE": "local",
        "TRIGGERFISH_STACK": "shop-local",
        "TRIGGERFISH_TABLE": "${StateTable}",
        "TRIGGERFISH_QUEUE_URL": "${NoticesQueue}",
        "TRIGGERFISH_DEAD_LETTER_QUEUE_URL": "${NoticesDeadLetterQueue}",
    }


def test_apprise_is_packaged_only_where_a_channel_needs_it() -> None:
    assert function(Config()).requirements == ("msgspec",)
    assert function(WITH_CHANNELS).requirements == ("msgspec", "apprise")


def test_the_function_imports_nothing_that_it_has_not() -> None:
    found = closure("triggerfish.notices.handler", SOURCE)
    assert missing_problems(found, ["msgspec"]) == []


def test_mail_and_secrets_are_granted_on_exact_resources() -> None:
    found = calls(WITH_CHANNELS)
    home = f"{ARN}:ses:${{AWS::Region}}:${{AWS::AccountId}}:identity"
    assert found["ses:SendEmail"] == {
        f"{home}/triggerfish@example.com",
        f"{home}/ops@example.com",
        f"{home}/example.com",
    }
    assert found["ssm:GetParameter"] == {
        f"{ARN}:ssm:${{AWS::Region}}:${{AWS::AccountId}}:parameter/shop/slack"
    }
    assert found["sqs:SendMessage"] == {"${NoticesQueue.Arn}", "${NoticesDeadLetterQueue.Arn}"}
    assert {action for action, where in found.items() if "*" in where} == {
        "ses:GetSuppressedDestination"
    }


def test_without_mail_there_is_no_permission_to_send_it() -> None:
    chat_only = make_settings(sender=None, to=(), channels=(make_channel("slack"),))
    assert not [action for action in calls(Config(notices=chat_only)) if action.startswith("ses:")]


@pytest.mark.parametrize("config", [Config(), WITH_CHANNELS], ids=["mail", "channels"])
def test_cfn_lint_finds_no_error_and_no_warning(config: Any) -> None:
    template = build_template(
        [("notices", blueprint(config, "local"))], stack="shop-local", functions=Settings()
    )
    assert findings(json.dumps(template)) == []

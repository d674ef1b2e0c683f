from __future__ import annotations

import pytest

from tests.config.samples import TOP, problems_of, told
from triggerfish.config.load import parse
from triggerfish.durations import Duration
from triggerfish.notices.config import Trigger
from triggerfish.triggers import TRIGGERS

MAIL = """
[notices]
sender = "triggerfish@example.com"
to = ["ops@example.com"]
"""
SLACK = """
[[notices.channels]]
name = "slack"
url = "ssm:/shop/slack-url"
"""


def test_mail_alone_has_defaults_for_the_rest() -> None:
    notices = parse(TOP + MAIL).notices
    assert notices is not None
    assert (notices.window, notices.limit, notices.canary) == (Duration(3600), 30, True)
    assert (notices.severity, notices.triggers, notices.channels) == ("info", (), ())


def test_channels_may_stand_alone() -> None:
    notices = parse(TOP + SLACK).notices
    assert notices is not None
    assert [channel.name for channel in notices.channels] == ["slack"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "\n[notices]\nlimit = 5\n",
            (
                "triggerfish.toml:4: notices: found no channel,"
                " wanted `sender` and `to`, or [[notices.channels]]"
            ),
        ),
        (
            '\n[notices]\nsender = "a@example.com"\n',
            (
                "triggerfish.toml:4: notices.to: found no such key,"
                " wanted the addresses that get the mail"
            ),
        ),
        (
            '\n[notices]\nto = ["a@example.com"]\n',
            (
                "triggerfish.toml:4: notices.sender: found no such key,"
                " wanted the address that mail comes from"
            ),
        ),
        (
            MAIL.replace("ops@example.com", "ops"),
            (
                'triggerfish.toml:6: notices.to[0]: found "ops",'
                ' wanted a mail address such as "ops@example.com"'
            ),
        ),
        (
            MAIL + SLACK + SLACK,
            (
                'triggerfish.toml:13: notices.channels[1].name: found "slack",'
                " wanted a name that no other channel has"
            ),
        ),
        (
            MAIL + SLACK.replace('"slack"', '"mail"'),
            (
                'triggerfish.toml:9: notices.channels[0].name: found "mail",'
                " wanted a name that no other channel has"
            ),
        ),
        (
            MAIL + SLACK.replace("ssm:/shop/slack-url", "slack://hunter2/secret"),
            (
                "triggerfish.toml:10: notices.channels[0].url: found a text (not shown): not a"
                ' secret reference, wanted a reference to a secret: "ssm:/path",'
                ' "secretsmanager:name#key" or, in the local stage, "env:NAME"'
            ),
        ),
        (
            MAIL + 'severity = "worst"\n',
            (
                'triggerfish.toml:7: notices.severity: found "worst", wanted'
                ' "critical", "high", "info", "low", "medium" or "warning"'
            ),
        ),
    ],
)
def test_what_is_wrong_is_told(text: str, problem: str) -> None:
    assert told(TOP + text) == [problem]


def test_a_mail_has_at_most_the_recipients_that_ses_takes() -> None:
    many = ", ".join(f'"a{n}@example.com"' for n in range(51))
    text = TOP + MAIL.replace('"ops@example.com"', many)
    assert [problem.path for problem in problems_of(text)] == ["notices.to"]


def test_every_trigger_can_be_routed_by() -> None:
    """What notices say of themselves goes everywhere."""
    names = set(Trigger.__args__)  # type: ignore[attr-defined]
    assert set(TRIGGERS) - {"notices"} <= names

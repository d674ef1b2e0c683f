"""Where a secret belongs stands a reference; a literal is refused and shown nowhere."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.config.samples import JENKINS, TOP, changed, told
from triggerfish.cli.output import complain_of
from triggerfish.config.load import parse
from triggerfish.errors import ConfigError

WANTED = (
    'wanted a reference to a secret: "ssm:/path", "secretsmanager:name#key" or, in the local'
    ' stage, "env:NAME"'
)


@pytest.mark.parametrize(
    ("token", "found"),
    [
        ('"hunter2"', "a text (not shown): not a secret reference"),
        ('"ssm:/hunter2 hunter2"', 'a text (not shown): "ssm:" is not followed by a valid name'),
        ("271828", "an integer"),
        ("true", "a boolean"),
        ('["hunter2"]', "an array"),
        ('{ value = "hunter2" }', "a table"),
        ("2026-01-01", "a date or time"),
        ("1.5", "a float"),
    ],
)
def test_literal_is_refused_by_kind_alone(token: str, found: str) -> None:
    text = TOP + changed(JENKINS, token=f"token = {token}")
    assert told(text) == [f"triggerfish.toml:7: jenkins.main.token: found {found}, {WANTED}"]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(changed(JENKINS, token='tokn = "hunter2"'), id="under a mistyped key"),
        pytest.param(changed(JENKINS, token='token = "hunter2'), id="with a syntax error"),
        pytest.param(changed(JENKINS, token="token = hunter2"), id="without quotes"),
        pytest.param(changed(JENKINS, token='token = "hunter2\\q"'), id="with a bad escape"),
        pytest.param(changed(JENKINS, token='token = "a"\ntoken = "hunter2"'), id="twice"),
        pytest.param('jenkins = "hunter2"\n', id="in place of the table"),
        pytest.param('jenkins = ["hunter2"]\n', id="in place of the table, in an array"),
        pytest.param('[jenkins]\nmain = "hunter2"\n', id="in place of the server"),
        pytest.param('[jenkins]\nurl = "http://a"\nuser = "a"\ntoken = "hunter2"\n', id="no name"),
        pytest.param(
            changed(JENKINS, url='url = "https://triggerfish:hunter2@jenkins.example.com"'),
            id="in the address",
        ),
        pytest.param(
            changed(JENKINS, url='url = "triggerfish:hunter2@jenkins.example.com"'),
            id="in what is no address",
        ),
    ],
)
def test_literal_is_shown_nowhere(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(TOP + text)
    complain_of(caught.value.problems, caught.value.hint)
    shown = str(caught.value) + repr(caught.value.problems) + capsys.readouterr().err
    assert "hunter" not in shown


@given(st.text(st.characters(codec="ascii", categories=["L", "N"])).map("Zq9".__add__))
def test_no_literal_reaches_an_error(secret: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(TOP + changed(JENKINS, token=f'token = "{secret}"'))
    assert secret not in str(caught.value)


def test_environment_is_for_the_local_stage_only() -> None:
    text = TOP + "[stage.prod]\n" + changed(JENKINS, token='token = "env:JENKINS_TOKEN"')
    assert told(text, "local") == []
    assert told(text, "prod") == [
        (
            'triggerfish.toml:8: jenkins.main.token: found "env:JENKINS_TOKEN", which only the'
            " local"
            f" stage has, {WANTED}"
        )
    ]


def test_server_without_a_name_is_told_how_it_is_written() -> None:
    assert told(TOP + '[jenkins]\nurl = "http://a"\n') == [
        (
            "triggerfish.toml:4: jenkins.url: found a string, wanted a table"
            " (write it below [jenkins.NAME], with a name of your own)"
        )
    ]

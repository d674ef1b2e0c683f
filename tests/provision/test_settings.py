"""What deploy bakes into a function is what the function reads."""

import json
import subprocess
import sys

import msgspec
import pytest

from tests.config.samples import GOOD, JENKINS, TOP, WEB
from triggerfish.codec import decode, encode
from triggerfish.config.load import parse
from triggerfish.durations import Duration
from triggerfish.provision.config import ProvisionSettings
from triggerfish.provision.resources import settings_of

RICH = GOOD + 'timeout = "2h"\ntags = { member = "{group}-{number:02}" }\n'


def test_settings_survive_the_journey() -> None:
    config = parse(RICH)
    settings = decode(encode(settings_of(config)), ProvisionSettings)
    assert settings == settings_of(config)
    assert settings.groups == config.provision
    assert settings.jenkins == config.jenkins


def test_settings_are_written_as_the_user_wrote_them() -> None:
    baked = json.loads(encode(settings_of(parse(TOP + JENKINS + WEB))))
    assert baked == {
        "groups": [
            {
                "attempts": 2,
                "domain": "web-{number:02}.internal.example.com",
                "finish": "healthy",
                "group": "web",
                "hook": None,
                "jenkins": "main",
                "jobs": ["infra/provision", "app/deploy"],
                "mode": "elastic",
                "name": "web-{number:02}",
                "on_failure": "keep",
                "parameters": {},
                "size": None,
                "tags": {},
                "timeout": "30m",
                "ttl": "1m",
                "zone": "internal.example.com",
            }
        ],
        "jenkins": {
            "main": {
                "security_groups": [],
                "subnets": [],
                "token": "ssm:/shop/jenkins-token",
                "url": "https://jenkins.internal.example.com",
                "user": "triggerfish",
            }
        },
    }


def test_jenkins_that_no_group_names_stays_at_home() -> None:
    unused = JENKINS.replace("[jenkins.main]", "[jenkins.other]")
    settings = settings_of(parse(TOP + JENKINS + unused + WEB))
    assert list(settings.jenkins) == ["main"]


def test_equal_settings_are_equal_bytes() -> None:
    other = JENKINS.replace('user = "triggerfish"\n', "") + 'user = "triggerfish"\n'
    assert encode(settings_of(parse(TOP + JENKINS + WEB))) == encode(
        settings_of(parse(TOP + other + WEB))
    )


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'{"groups": [], "jenkins": {}, "x": 1}', "Object contains unknown field `x`"),
        (b'{"groups": []}', "Object missing required field `jenkins`"),
    ],
)
def test_settings_of_another_version_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=message):
        decode(data, ProvisionSettings)


def test_text_value_is_a_string_in_json() -> None:
    assert encode({"after": Duration(90)}) == b'{"after":"90s"}'
    with pytest.raises(msgspec.ValidationError, match=r"^expected a string$"):
        decode(b"90", Duration)
    with pytest.raises(msgspec.ValidationError, match="a number and one of s, m, h, d"):
        decode(b'"90"', Duration)


def test_other_types_have_no_json_form() -> None:
    with pytest.raises(NotImplementedError, match=r"^complex has no JSON form$"):
        encode(1j)
    with pytest.raises(NotImplementedError, match=r"^complex has no JSON form$"):
        decode(b'"1j"', complex)


def test_function_imports_nothing_of_the_command_line() -> None:
    """The settings are read in every cold start: only what is needed is imported."""
    code = (
        "import sys, triggerfish.provision.config, triggerfish.codec\n"
        "print(*sorted(m for m in sys.modules if m in"
        " {'difflib', 'tomllib', 'dataclasses', 'urllib.parse', 'typer', 'rich'}"
        " or m.startswith('triggerfish')))"
    )
    bare = [sys.executable, "-c", code]
    assert subprocess.check_output(bare, text=True).split() == [
        "triggerfish",
        "triggerfish.codec",
        "triggerfish.durations",
        "triggerfish.provision",
        "triggerfish.provision.config",
        "triggerfish.secret_reference",
        "triggerfish.templates",
        "triggerfish.text_value",
    ]

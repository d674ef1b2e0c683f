"""triggerfish.toml becomes a frozen model, and is found from any folder below it."""

from pathlib import Path

import pytest

from tests.config.samples import GOOD, TOP
from triggerfish.config.load import find, load, parse
from triggerfish.config.model import Config, FunctionDefaults, Stage
from triggerfish.durations import Duration
from triggerfish.errors import ConfigError
from triggerfish.provision.config import Jenkins, ProvisionGroup
from triggerfish.secret_reference import SecretReference
from triggerfish.templates import Template

FULL = (
    TOP
    + """
[functions]
runtime = "python3.12"
architecture = "x86_64"
memory = 512

[stage.prod]
region = "eu-west-1"
account = "123456789012"

[jenkins.main]
url = "http://192.0.2.1:8080/ci"
user = "triggerfish"
token = "secretsmanager:jenkins#token"
subnets = ["subnet-0a1b2c3d"]
security_groups = ["sg-0a1b2c3d4e5f60718"]

[[provision]]
group = "Search nodes"
name = "search {number}"
domain = "search-{number}.internal.example.com"
zone = "internal.example.com"
mode = "stateful"
size = 3
tags = { role = "search", "a key" = "{az} {address}" }
jenkins = "main"
jobs = ["infra/provision"]
parameters = { HOST = "{domain}" }
finish = "built"
hook = "provision"
timeout = "1h"
attempts = 3
on_failure = "abandon"
ttl = "90s"
"""
)


def test_every_key_reaches_the_model() -> None:
    assert parse(FULL) == Config(
        name="shop",
        region="eu-central-1",
        functions=FunctionDefaults(runtime="python3.12", architecture="x86_64", memory=512),
        stage={"prod": Stage(region="eu-west-1", account="123456789012")},
        jenkins={
            "main": Jenkins(
                url="http://192.0.2.1:8080/ci",
                user="triggerfish",
                token=SecretReference("secretsmanager", "jenkins", "token"),
                subnets=("subnet-0a1b2c3d",),
                security_groups=("sg-0a1b2c3d4e5f60718",),
            )
        },
        provision=(
            ProvisionGroup(
                group="Search nodes",
                name=Template("search {number}"),
                domain=Template("search-{number}.internal.example.com"),
                zone="internal.example.com",
                mode="stateful",
                size=3,
                tags={"role": Template("search"), "a key": Template("{az} {address}")},
                jenkins="main",
                jobs=("infra/provision",),
                parameters={"HOST": Template("{domain}")},
                finish="built",
                hook="provision",
                timeout=Duration(3600),
                attempts=3,
                on_failure="abandon",
                ttl=Duration(90),
            ),
        ),
    )


def test_a_key_left_out_has_its_default() -> None:
    config = parse(GOOD)
    assert config.functions == FunctionDefaults(
        runtime="python3.13", architecture="arm64", memory=None
    )
    assert config.stage == {}
    web = config.provision[0]
    assert (web.mode, web.size, web.tags, web.parameters) == ("elastic", None, {}, {})
    assert (web.finish, web.hook, web.on_failure, web.attempts) == ("healthy", None, "keep", 2)
    assert (web.timeout, web.ttl) == (Duration(1800), Duration(60))


def test_config_without_a_trigger_is_one() -> None:
    assert parse(TOP) == Config(name="shop", region="eu-central-1")


def test_stage_has_its_own_stack_region_and_account() -> None:
    config = parse(FULL)
    assert config.stack("prod") == "shop-prod"
    assert (config.region_in("prod"), config.account_in("prod")) == ("eu-west-1", "123456789012")
    assert (config.region_in("local"), config.account_in("local")) == ("eu-central-1", None)


def test_model_is_frozen() -> None:
    config = parse(GOOD)
    with pytest.raises(AttributeError, match="immutable"):
        config.name = "other"  # type: ignore[misc]


def test_file_of_a_windows_editor_is_read(tmp_path: Path) -> None:
    path = tmp_path / "triggerfish.toml"
    path.write_bytes(b"\xef\xbb\xbf" + TOP.replace("\n", "\r\n").encode())
    assert load(path) == Config(name="shop", region="eu-central-1")


def test_nearest_file_above_is_found(tmp_path: Path) -> None:
    inner = tmp_path / "project" / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / "triggerfish.toml").touch()
    (tmp_path / "project" / "triggerfish.toml").touch()
    assert find(inner) == tmp_path / "project" / "triggerfish.toml"


def test_folder_of_that_name_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "triggerfish.toml").touch()
    (tmp_path / "project" / "triggerfish.toml").mkdir(parents=True)
    assert find(tmp_path / "project") == tmp_path / "triggerfish.toml"


def test_every_place_looked_in_is_told() -> None:
    nowhere = Path("/nonexistent-folder/inner")
    with pytest.raises(ConfigError) as caught:
        find(nowhere)
    assert str(caught.value) == (
        "triggerfish.toml: the file: found none in /nonexistent-folder/inner,"
        " /nonexistent-folder, /"
        ", wanted one\nhint: triggerfish init writes one here"
    )


def test_file_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path.name}: the file: found Is a directory, wanted a file that can be read"
    )


def test_bytes_that_are_no_text_are_a_problem_with_a_line(tmp_path: Path) -> None:
    path = tmp_path / "triggerfish.toml"
    path.write_bytes(b'name = "shop"\nregion = "\xff"\n')
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert str(caught.value) == (
        "triggerfish.toml:2: the file: found bytes that are not UTF-8, wanted UTF-8 text"
    )

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec import Struct

from triggerfish.errors import ConfigError
from triggerfish.runtime.settings import load, parameters, variable
from triggerfish.secret_reference import SecretReference

if TYPE_CHECKING:
    from pathlib import Path


class Settings(Struct, frozen=True):
    group: str
    token: SecretReference


def test_settings_are_read_from_the_artifact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "triggerfish_settings.json").write_text('{"group": "web", "token": "ssm:/t"}')
    monkeypatch.setenv("LAMBDA_TASK_ROOT", str(tmp_path))
    assert load(Settings) == Settings("web", SecretReference("ssm", "/t"))


def test_missing_settings_say_where_they_were_looked_for(tmp_path: Path) -> None:
    path = tmp_path / "none.json"
    with pytest.raises(ConfigError) as failure:
        load(Settings, path)
    assert str(failure.value) == (
        f"{path}: $: found no such file, wanted the settings of Settings "
        "(`triggerfish deploy` makes it)"
    )


def test_settings_of_another_version_say_what_differs(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text('{"token": "ssm:/t"}')
    with pytest.raises(ConfigError) as failure:
        load(Settings, path)
    assert str(failure.value) == (
        f"{path}: $: found settings of another version (Object missing required field `group`), "
        "wanted the settings of Settings (deploy again)"
    )


def test_a_secret_written_in_the_settings_is_not_repeated(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text('{"group": "web", "token": "hunter2"}')
    with pytest.raises(ConfigError) as failure:
        load(Settings, path)
    assert "hunter2" not in str(failure.value)


def test_parameters_are_what_the_template_says() -> None:
    environment = {"TRIGGERFISH_PARAMETERS": '{"zone internal.example.com": "Z123"}'}
    assert parameters(environment) == {"zone internal.example.com": "Z123"}
    assert parameters({}) == {}


@pytest.mark.parametrize("text", ["", "[]", '{"a": 1}', "{"])
def test_malformed_parameters_are_a_config_error(text: str) -> None:
    with pytest.raises(ConfigError, match="environment: TRIGGERFISH_PARAMETERS: found "):
        parameters({"TRIGGERFISH_PARAMETERS": text})


def test_a_variable_must_be_there() -> None:
    assert variable("TRIGGERFISH_TABLE", {"TRIGGERFISH_TABLE": "shop-local-state"}) == (
        "shop-local-state"
    )
    with pytest.raises(ConfigError) as failure:
        variable("TRIGGERFISH_TABLE", {})
    assert str(failure.value) == (
        "environment: TRIGGERFISH_TABLE: found nothing, wanted a value\n"
        "hint: the template sets it: deploy again"
    )

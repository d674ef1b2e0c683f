from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from triggerfish.cli.main import build_app, run
from triggerfish.triggers import TRIGGERS

if TYPE_CHECKING:
    from pathlib import Path

TOML = """\
name = "shop"
region = "eu-west-1"

[stage.prod]
account = "123456789012"
"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose one trigger is the sample."""
    for name in list(TRIGGERS):
        monkeypatch.delitem(TRIGGERS, name)
    monkeypatch.setitem(TRIGGERS, "sample", "tests.deploy.sample_trigger")
    (tmp_path / "triggerfish.toml").write_text(TOML)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(*arguments: str) -> int:
    return run(build_app(["triggerfish.deploy.commands"]), arguments)


def test_template_prints_the_stages_template(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("template", "--stage", "prod") == 0

    printed = json.loads(capsys.readouterr().out)
    assert printed["Description"] == "Triggerfish: sample (shop-prod)"
    assert printed["Outputs"]["Stage"] == {"Value": "prod"}
    assert printed["Resources"]["StateTable"]["Properties"]["TableName"] == "shop-prod-state"


@pytest.mark.parametrize("stage", ["local", "prod"])
def test_package_tells_the_sizes_of_each_artifact(
    capsys: pytest.CaptureFixture[str], stage: str
) -> None:
    assert call("package", "--json", "--stage", stage) == 0

    printed: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert list(printed) == ["shop-local-sample"]
    sizes = printed["shop-local-sample"]
    assert sizes.keys() == {"zip_bytes", "unzipped_bytes", "largest"}
    assert sizes["largest"][0]["package"] == "triggerfish"
    assert sizes["zip_bytes"] > 0
    assert 0 < sizes["largest"][0]["bytes"] < sizes["unzipped_bytes"]


def test_package_keeps_what_it_built_in_the_project(
    capsys: pytest.CaptureFixture[str], project: Path
) -> None:
    assert call("package") == 0

    (artifact,) = project.glob(".triggerfish/cache/artifacts/shop-local-sample/*.zip")
    assert str(artifact) in capsys.readouterr().out

"""A folder with a triggerfish.toml, and a way to run commands in it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from triggerfish.cli.main import main

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

CONFIG = """
name = "shop"
region = "eu-west-1"
[stage.prod]
[jenkins.main]
url = "https://jenkins.internal.example.com"
user = "triggerfish"
token = "ssm:/shop/jenkins-token"
[[provision]]
group = "web"
name = "web-{number:02}"
domain = "web-{number:02}.internal.example.com"
zone = "internal.example.com"
jenkins = "main"
jobs = ["infra/provision"]
[[provision]]
group = "search"
mode = "stateful"
size = 3
name = "search-{number}"
domain = "search-{number}.internal.example.com"
zone = "internal.example.com"
jenkins = "main"
jobs = ["infra/search"]
"""


class Project:
    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys
        (folder / "triggerfish.toml").write_text(CONFIG)

    def run(self, command: str) -> tuple[int, str, str]:
        """Exit code, stdout and stderr of a command line."""
        code = main(command.split())
        said = self._capsys.readouterr()
        return code, said.out, said.err

    def data(self, command: str) -> object:
        code, out, err = self.run(f"{command} --json")
        assert (code, err) == (0, "")
        return json.loads(out)

"""The main job, as `triggerfish demo` shows it to a newcomer."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.e2e.running import run

pytestmark = pytest.mark.cloud

MEMBER_KEYS = {
    *("group", "number", "instance", "generation", "name", "domain", "address", "zone"),
    *("phase", "attempts", "builds", "reason", "since"),
}


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """What it prints as data and for a person; the two don't know of each other."""
    folder = tmp_path_factory.mktemp("demo")
    with ThreadPoolExecutor(2) as pool:
        started = [pool.submit(run, folder, "demo", *more) for more in (["--json"], [])]
        done = [one.result() for one in started]
    assert [one.returncode for one in done] == [0, 0], [one.stderr for one in done]
    assert list(folder.iterdir()) == []
    return done[0].stdout, done[1].stdout


@pytest.fixture(scope="module")
def shown(both: tuple[str, str]) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(both[0])
    return told


def members(shown: dict[str, Any], group: str) -> list[dict[str, Any]]:
    return [one for one in shown["provision"]["members"] if one["group"] == group]


def test_figures(shown: dict[str, Any]) -> None:
    provision = shown["provision"]
    assert shown["ready_s"] > 0
    assert shown["deploy_s"] > 0
    assert (provision["standby_returns"], provision["replacements"]) == (1, 1)
    assert provision["builds"] == 3 * 2 + 3 + 1  # web has two jobs; the replacement was built too


def test_every_member_is_ready(shown: dict[str, Any]) -> None:
    assert [(one["name"], one["phase"]) for one in shown["provision"]["members"]] == [
        *((f"search-{number}", "ready") for number in (1, 2, 3)),
        *((f"web-{number:02}", "ready") for number in (1, 2, 3)),
    ]
    assert all(one.keys() == MEMBER_KEYS for one in shown["provision"]["members"])


def test_return_from_standby_is_not_built_again(shown: dict[str, Any]) -> None:
    assert shown["provision"]["builds_after_standby"] == 0
    for one in members(shown, "web"):
        assert [(build["job"], build["result"]) for build in one["builds"]] == [
            ("infra/provision", "SUCCESS"),
            ("app/deploy", "SUCCESS"),
        ]


def test_replacement_took_the_number_of_the_dead(shown: dict[str, Any]) -> None:
    (gone,) = shown["provision"]["gone"]
    (replacement,) = [one for one in members(shown, "search") if one["number"] == 2]
    assert gone["name"] == replacement["name"] == "search-2"
    assert gone["instance"] != replacement["instance"]
    assert gone["phase"] == "gone"


def test_person_is_told_a_story_of_every_server(both: tuple[str, str]) -> None:
    lines = both[1].splitlines()
    assert lines[-1].startswith("ready ")
    assert "6 members ready, 10 builds, 1 standby return, 1 replacement" in lines[-1]
    for name in ("search-1", "search-2", "search-3", "web-01", "web-02", "web-03"):
        assert any(f"{name}.internal.example.com" in line for line in lines)
    for word in ("numbered", "points at", "asked for", "SUCCESS", "healthy", "standby", "gone"):
        assert any(word in line for line in lines), word

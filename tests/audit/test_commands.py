"""The command line of the audit trigger, as people and scripts use it."""

from __future__ import annotations

import gzip
import io
import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.audit.test_handler import CHANGES, CONNECTIONS, STATEMENTS, failed
from tests.audit.world import key_of
from tests.config.samples import TOP
from triggerfish.cli.main import main

if TYPE_CHECKING:
    from pathlib import Path

NAME = key_of().rpartition("/")[2]


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(words)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def scanned(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    code, out, _ = run(capsys, "scan", "--json", *words)
    assert code == 0
    data: dict[str, Any] = json.loads(out)
    return data


def write(folder: Path, name: str, text: str) -> str:
    data = text.encode()
    (folder / name).write_bytes(gzip.compress(data, mtime=0) if name.endswith(".gz") else data)
    return str(folder / name)


def test_scan_needs_no_config_and_no_aws(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path, NAME, failed(1))
    assert scanned(capsys, path) == {
        "files": [{"path": path, "kind": "connection", "records": 1, "bytes": 209, "problems": []}],
        "records": 1,
        "findings": [
            {
                "rule": "failed-login",
                "severity": "low",
                "title": "A login failed",
                "at": "2026-11-24T10:00:01.177Z",
                "cluster": "shop",
                "database": "dev",
                "user": "awsuser",
                "actor": "",
                "source": "198.51.100.23",
                "application": "psql",
                "statement": "",
                "file": path,
                "offset": 0,
            }
        ],
    }


def test_several_logs_name_the_actor_in_any_order(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    logs = {"userlog": CHANGES, "connectionlog": CONNECTIONS, "useractivitylog": STATEMENTS}
    paths = [write(tmp_path, key_of(kind).rpartition("/")[2], text) for kind, text in logs.items()]
    for order in (paths, paths[::-1]):
        found = scanned(capsys, *order)["findings"]
        (dropped,) = [each for each in found if each["rule"] == "user-changed"]
        assert (dropped["actor"], dropped["source"], dropped["statement"]) == (
            "awsuser",
            "198.51.100.23",
            "DROP USER bob",
        )


@pytest.mark.parametrize("name", ["connectionlog.txt", "copy.gz"])
def test_plain_and_gz_are_told_apart_by_their_bytes(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str
) -> None:
    data = scanned(capsys, write(tmp_path, name, CONNECTIONS))
    assert (data["files"][0]["kind"], data["records"]) == ("connection", 13)


def test_a_dash_is_standard_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(CONNECTIONS.encode())))
    data = scanned(capsys, "-")
    assert (data["files"][0]["path"], data["records"]) == ("-", 13)


def test_a_file_that_is_not_there_is_said_and_the_rest_is_read(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = write(tmp_path, NAME, CONNECTIONS)
    code, out, err = run(capsys, "scan", "--json", "nowhere.gz", path)
    assert (code, json.loads(out)["records"]) == (1, 13)
    assert "nowhere.gz: No such file or directory" in err


def test_a_truncated_file_is_said_and_read(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / NAME
    path.write_bytes(gzip.compress(CONNECTIONS.encode())[:-9])
    data = scanned(capsys, str(path))
    assert [each["kind"] for each in data["files"][0]["problems"]] == ["truncated"]
    assert "unreadable-record" in {each["rule"] for each in data["findings"]}


def test_people_get_a_table_with_the_worst_first(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, out, err = run(capsys, "scan", "--stats", write(tmp_path, NAME, CONNECTIONS))
    assert code == 0
    head, _, first, *_ = out.splitlines()
    assert head.split()[:3] == ["TIME", "SEVERITY", "RULE"]
    assert first.split()[2:4] == ["critical", "brute-force-success"]
    assert "connection, 13 records" in err
    assert "MB/s" in err


def test_no_value_of_a_log_steers_the_terminal(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    _, out, _ = run(capsys, "scan", write(tmp_path, NAME, failed(1, "eve\x1b[2J\u202e")))
    assert "eve\\x1b[2J\\u202e" in out


def test_scan_takes_the_rules_of_a_config_when_told(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    config = tmp_path / "triggerfish.toml"
    config.write_text(TOP + '[audit]\nbucket = "logs-1"\nrules.failed-login.on = false\n')
    path = write(tmp_path, NAME, failed(1))
    assert scanned(capsys, "--config", str(config), path)["findings"] == []


# ---- backtest ----


def test_a_backtest_says_how_many_mails_there_would_have_been(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "triggerfish.toml").write_text(TOP + '[audit]\nbucket = "logs-1"\n')
    monkeypatch.chdir(tmp_path)
    (tmp_path / "logs").mkdir()
    for hour in (10, 11, 12):
        name = key_of(at=f"2026-11-24T{hour}:53").rpartition("/")[2]
        text = CONNECTIONS.replace(" 10:00:", f" {hour}:00:")
        write(tmp_path / "logs", name, text)
    code, out, err = run(capsys, "backtest", "--json", "logs")
    data = json.loads(out)
    assert (code, data["files"], data["records"], data["mails"]) == (0, 3, 39, 3)
    assert {each["rule"] for each in data["rules"]} >= {"brute-force-success", "failed-login"}
    _, _, err = run(capsys, "backtest", "logs")
    assert "3 logs (3 connection), 39 records" in err


def test_a_backtest_looks_at_the_time_it_is_told(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "triggerfish.toml").write_text(TOP + '[audit]\nbucket = "logs-1"\n')
    monkeypatch.chdir(tmp_path)
    write(tmp_path, NAME, CONNECTIONS)
    _, out, _ = run(
        capsys, "backtest", "--json", "--since", "2026-11-25", "--until", "2026-12-01", NAME
    )
    assert json.loads(out)["findings"] == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("backtest", "--since", "noon", "x"), "'noon' is no time"),
        (("backtest", "--since", "2026-11-25", "--until", "2026-11-24", "x"), "is not before"),
        (("findings", "--severity", "huge"), "wanted low, medium, high or critical"),
        (("report", "--since", "x"), "'x' is no day"),
    ],
)
def test_what_cannot_be_meant_is_said(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    message: str,
) -> None:
    (tmp_path / "triggerfish.toml").write_text(TOP + '[audit]\nbucket = "logs-1"\n')
    monkeypatch.chdir(tmp_path)
    code, _, err = run(capsys, *words)
    assert code == 1
    assert message in err


def test_commands_that_need_audit_say_where_it_is_missing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "triggerfish.toml").write_text(TOP)
    monkeypatch.chdir(tmp_path)
    for words in (("findings",), ("report",), ("connect",), ("send", "log", "x")):
        code, _, err = run(capsys, *words)
        assert code == 1
        assert "[audit]" in err or "audit bucket" in err

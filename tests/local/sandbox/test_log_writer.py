from __future__ import annotations

from typing import TYPE_CHECKING

from triggerfish.local.fakes.lambda_api import FakeLambdaApi
from triggerfish.local.sandbox.logs import (
    CloudWatch,
    Event,
    LogFiles,
    LogWriter,
    Stream,
    batches,
)

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

STREAM = Stream(
    region="eu-west-1",
    function="f",
    group="/aws/lambda/f",
    name="2026/11/24/[$LATEST]0123456789abcdef0123456789abcdef",
)


def event(message: str, time_ms: int = 1_795_502_286_807) -> Event:
    return Event(STREAM, time_ms, message)


def test_a_file_has_time_environment_and_message(tmp_path: Path) -> None:
    LogFiles(tmp_path).append([event("one"), event("two\nlines")])
    assert (tmp_path / "f.log").read_text() == (
        "2026-11-24T06:38:06.807Z 01234567 one\n2026-11-24T06:38:06.807Z 01234567 two\n    lines\n"
    )


def test_a_file_over_its_cap_becomes_the_old_one(tmp_path: Path) -> None:
    files = LogFiles(tmp_path, cap_bytes=100)
    for number in range(9):
        files.append([event(f"message {number}")])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.log", "f.log.1"]
    assert (tmp_path / "f.log.1").stat().st_size < 200
    assert (tmp_path / "f.log").read_text().endswith("message 8\n")


def test_a_batch_is_within_the_limits_of_the_call() -> None:
    assert [len(batch) for batch in batches([event("x")] * 10_001)] == [10_000, 1]
    assert [len(batch) for batch in batches([event("x" * 400_000)] * 5)] == [2, 2, 1]
    assert batches([]) == []


def test_events_reach_cloudwatch_in_the_order_of_their_time(tmp_path: Path) -> None:
    with FakeLambdaApi() as api:
        cloud = CloudWatch(api.url, access_key="test")
        writer = LogWriter(LogFiles(tmp_path), cloud)
        writer.start()
        writer.put(event("second", 2))
        writer.put(event("first", 1))
        writer.stop(5)
        cloud.close()
    assert api.logs == {(STREAM.group, STREAM.name): ["first", "second"]}


def test_a_row_of_failures_is_said_once() -> None:
    said: list[str] = []
    cloud = CloudWatch("http://127.0.0.1:9", access_key="test", say=said.append)
    cloud.put([event("lost")])
    cloud.put([event("lost too")])
    assert said == [
        "CloudWatch Logs of the emulator at 127.0.0.1:9: [Errno 111] Connection refused"
    ]


def test_a_flood_is_dropped_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with FakeLambdaApi() as api:
        cloud = CloudWatch(api.url, access_key="test")
        writer = LogWriter(LogFiles(tmp_path), cloud)
        for _ in range(40):
            writer.put(event("x" * 1_000_000))
        writer.start()
        writer.stop(20)
        cloud.close()
    assert "6 log events dropped" in capsys.readouterr().err

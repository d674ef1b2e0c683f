from __future__ import annotations

from datetime import UTC, datetime

from triggerfish.local.sandbox.loglines import (
    FrameReader,
    JsonLines,
    LineSplitter,
    Report,
    TextLines,
)

AT = datetime(2026, 11, 24, 6, 38, 6, 807_999, tzinfo=UTC)
COLD = Report(request_id="id-1", duration_ms=182.1, memory_mb=128, used_mb=66, init_ms=544.9)


def test_the_first_report_bills_init() -> None:
    assert TextLines.end(COLD, AT) == (
        "END RequestId: id-1",
        (
            "REPORT RequestId: id-1\tDuration: 182.10 ms\tBilled Duration: 727 ms\t"
            "Memory Size: 128 MB\tMax Memory Used: 66 MB\tInit Duration: 544.90 ms\t"
        ),
    )


def test_a_failure_is_in_the_report() -> None:
    failed = Report(
        request_id="id-1",
        duration_ms=1.0,
        memory_mb=256,
        used_mb=256,
        status="error",
        error_type="Runtime.OutOfMemory",
    )
    assert TextLines.end(failed, AT)[1] == (
        "REPORT RequestId: id-1\tDuration: 1.00 ms\tBilled Duration: 1 ms\tMemory Size: 256 MB\t"
        "Max Memory Used: 256 MB\tStatus: error\tError Type: Runtime.OutOfMemory"
    )


def test_init_reports() -> None:
    assert TextLines.init_report(9999.79, "init", "timeout", None, AT) == (
        "INIT_REPORT Init Duration: 9999.79 ms\tPhase: init\tStatus: timeout"
    )
    assert TextLines.init_report(1670.77, "init", "error", "Runtime.Unknown", AT) == (
        "INIT_REPORT Init Duration: 1670.77 ms\tPhase: init\tStatus: error\t"
        "Error Type: Runtime.Unknown"
    )
    assert JsonLines.init_report(1.5, "init", "error", "Runtime.Unknown", AT) == (
        '{"time": "2026-11-24T06:38:06.807Z", "type": "platform.initReport", "record": '
        '{"initializationType": "on-demand", "phase": "init", "status": "error", '
        '"metrics": {"durationMs": 1.5}, "errorType": "Runtime.Unknown"}}'
    )


def test_json_reports() -> None:
    assert JsonLines.end(COLD, AT) == (
        (
            '{"time": "2026-11-24T06:38:06.807Z", "type": "platform.report", "record": '
            '{"requestId": "id-1", "metrics": {"durationMs": 182.1, "billedDurationMs": 727, '
            '"memorySizeMB": 128, "maxMemoryUsedMB": 66, "initDurationMs": 544.9}, '
            '"status": "success"}}'
        ),
    )


def test_lines_come_whole_however_they_arrive() -> None:
    splitter = LineSplitter()
    assert splitter.feed(b"one\ntw") == ["one"]
    assert splitter.feed(b"o\n\nthr\xc3") == ["two", ""]
    assert splitter.feed(b"\xbc") == []
    assert splitter.flush() == ["thrü"]
    assert splitter.flush() == []


def test_a_line_without_end_is_cut_at_the_limit_of_an_event() -> None:
    splitter = LineSplitter()
    assert [len(line) for line in splitter.feed(b"x" * 600_000)] == [262_144, 262_144, 75_712]


def frame(message: bytes) -> bytes:
    micros = (1_795_502_286_807_123).to_bytes(8, "big")
    return b"\xa5\x5a\x00\x03" + len(message).to_bytes(4, "big") + micros + message


def test_a_frame_is_one_event_however_it_arrives() -> None:
    data = frame(b"two\nlines\n") + frame(b"next")
    reader = FrameReader()
    found = [each for at in range(len(data)) for each in reader.feed(data[at : at + 1])]
    assert found == [(1_795_502_286_807, "two\nlines"), (1_795_502_286_807, "next")]

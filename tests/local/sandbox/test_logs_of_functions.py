from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING

import pytest

from tests.local.sandbox.lab import eventually

if TYPE_CHECKING:
    from tests.local.sandbox.lab import Lab

pytestmark = pytest.mark.cloud

TALKATIVE = """
    import logging, os, subprocess, sys
    def handler(event, context):
        print("printed ü")
        sys.stderr.write("to stderr\\n")
        os.write(1, b"without a newline")
        os.write(1, b", then one\\n")
        subprocess.run(["echo", "from a child"])
        logging.getLogger().warning("two\\nlines")
        print("no newline at the end", end="")
"""


def events(lab: Lab, arn: str) -> list[str]:
    """What reached CloudWatch Logs."""
    group = f"/aws/lambda/{arn.rpartition(':')[2]}"
    found: list[str] = []

    def arrived() -> bool:
        found[:] = [
            each for key, value in lab.api.logs.items() if key[0] == group for each in value
        ]
        return any(each.startswith("REPORT") or "platform.report" in each for each in found)

    eventually(arrived, "the log in CloudWatch Logs")
    return found


def masked(line: str) -> str:
    line = re.sub(r"\d+\.\d\d ms", "N ms", line)
    line = re.sub(r"Billed Duration: \d+", "Billed Duration: N", line)
    line = re.sub(r"Used: \d+", "Used: N", line)
    return re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "TIME", line)


def test_everything_a_function_says_reaches_its_log(lab: Lab) -> None:
    arn = lab.put(TALKATIVE)
    lab.invoke(arn, headers={"X-Amzn-Lambda-Request-Id": "id-1"})
    found = [masked(line) for line in events(lab, arn)]
    said = [
        "printed ü",
        "to stderr",
        "without a newline, then one",
        "from a child",
        "[WARNING]\tTIME\tid-1\ttwo\nlines",
        "no newline at the end",
    ]
    assert found[:2] == [
        "INIT_START Runtime Version: python:3.13",
        "START RequestId: id-1 Version: $LATEST",
    ]
    assert sorted(found[2:-2]) == sorted(said)
    assert found[-2:] == [
        "END RequestId: id-1",
        (
            "REPORT RequestId: id-1\tDuration: N ms\tBilled Duration: N ms\tMemory Size: 256 MB\t"
            "Max Memory Used: N MB\tInit Duration: N ms\t"
        ),
    ]


def test_an_environment_has_one_stream_and_one_init(lab: Lab) -> None:
    arn = lab.put("def handler(event, context): pass")
    for _ in range(3):
        lab.invoke(arn)
    group = f"/aws/lambda/{arn.rpartition(':')[2]}"
    eventually(
        lambda: sum(len(v) for k, v in lab.api.logs.items() if k[0] == group) == 10, "all lines"
    )
    streams = [stream for found, stream in lab.api.logs if found == group]
    assert len(streams) == 1
    assert re.fullmatch(r"\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}", streams[0])
    reports = [line for line in lab.api.logs[group, streams[0]] if line.startswith("REPORT")]
    assert ["Init Duration" in line for line in reports] == [True, False, False]


def test_json_format_is_awss(lab: Lab) -> None:
    arn = lab.put(
        """
        import logging
        def handler(event, context):
            logging.getLogger("mine").info("hello %s", "w")
            logging.getLogger("mine").debug("too fine")
        """,
        LoggingConfig={"LogFormat": "JSON", "ApplicationLogLevel": "INFO"},
    )
    lab.invoke(arn, headers={"X-Amzn-Lambda-Request-Id": "id-1"})
    found = [json.loads(line) for line in events(lab, arn)]
    kinds = [each.get("type", each.get("message")) for each in found]
    assert kinds == ["platform.initStart", "platform.start", "hello w", "platform.report"]
    said = {key: found[2][key] for key in ("level", "message", "logger", "requestId")}
    assert said == {"level": "INFO", "message": "hello w", "logger": "mine", "requestId": "id-1"}
    assert sorted(found[3]["record"]["metrics"]) == [
        "billedDurationMs",
        "durationMs",
        "initDurationMs",
        "maxMemoryUsedMB",
        "memorySizeMB",
    ]


def test_the_log_group_is_the_configured_one(lab: Lab) -> None:
    arn = lab.put(
        "def handler(event, context): return context.log_group_name",
        LoggingConfig={"LogFormat": "Text", "LogGroup": "/our/group"},
    )
    assert lab.invoke(arn).json == "/our/group"
    eventually(lambda: any(group == "/our/group" for group, _ in lab.api.logs), "the group")


def test_an_uncaught_exception_is_logged_with_its_trace(lab: Lab) -> None:
    arn = lab.put("def handler(event, context): raise ValueError('boom')")
    lab.invoke(arn)
    assert any(
        line.startswith("[ERROR] ValueError: boom\nTraceback (most recent call last):\n")
        for line in events(lab, arn)
    )


def test_the_tail_of_the_log_comes_with_the_answer_when_asked_for(lab: Lab) -> None:
    import http.client  # noqa: PLC0415  only here: a header that `Answer` doesn't hold

    arn = lab.put("def handler(event, context): print('said')")
    connection = http.client.HTTPConnection("127.0.0.1", lab.port, timeout=30)
    headers = {"X-Amzn-Lambda-Function-Arn": arn, "X-Amz-Log-Type": "Tail"}
    connection.request("POST", "/", b"{}", headers)
    tail = base64.b64decode(connection.getresponse().headers["X-Amz-Log-Result"]).decode()
    connection.close()
    assert [line.split(" ")[0] for line in tail.splitlines()[1:]] == [
        "START",
        "said",
        "END",
        "REPORT",
    ]

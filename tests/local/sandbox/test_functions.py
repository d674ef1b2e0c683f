from __future__ import annotations

import json

import pytest

from triggerfish.errors import InputError, Unavailable
from triggerfish.local.sandbox.functions import (
    Found,
    Function,
    FunctionName,
    parse_arn,
    parse_function,
)

NAME = FunctionName(region="eu-west-1", account="123456789012", name="f")


@pytest.mark.parametrize("ending", ["", ":live", ":$LATEST", ":7"])
def test_an_arn_may_have_a_qualifier(ending: str) -> None:
    assert parse_arn(f"arn:aws:lambda:eu-west-1:123456789012:function:f{ending}") == NAME


@pytest.mark.parametrize(
    "arn", ["", "f", "arn:aws:lambda:eu-west-1:123456789012:function:../x", "arn:aws:sns:x:1:f"]
)
def test_what_is_no_function_arn_is_refused(arn: str) -> None:
    with pytest.raises(InputError, match="is no function ARN"):
        parse_arn(arn)


def test_everything_that_matters_is_read() -> None:
    body = {
        "Configuration": {
            "Runtime": "python3.13",
            "Handler": "a.b",
            "Timeout": 9,
            "MemorySize": 512,
            "CodeSha256": "abc=",
            "RevisionId": "r",
            "LastModified": "now",
            "EphemeralStorage": {"Size": 1024},
            "Environment": {"Variables": {"B": "2", "A": "1", "MINISTACK_LAMBDA_PROXY_URL": "x"}},
            "LoggingConfig": {"LogFormat": "JSON", "LogGroup": "/g", "ApplicationLogLevel": "WARN"},
            "Unknown": 1,
        },
        "Code": {"Location": "http://localhost:4566/_ministack/lambda-code/f?X=1"},
        "Concurrency": {"ReservedConcurrentExecutions": 3},
    }
    assert parse_function(json.dumps(body).encode(), NAME) == Found(
        function=Function(
            id=NAME,
            revision="r now",
            code_sha256="abc=",
            runtime="python3.13",
            handler="a.b",
            memory_mb=512,
            timeout_s=9,
            tmp_mb=1024,
            environment=(("A", "1"), ("B", "2")),
            log_group="/g",
            log_json=True,
            log_level="WARN",
        ),
        location="/_ministack/lambda-code/f?X=1",
        reserved_concurrency=3,
    )


def test_an_unreadable_answer_is_unavailable() -> None:
    with pytest.raises(Unavailable, match=r"^GetFunction f: unreadable answer: "):
        parse_function(b"<html>", NAME)

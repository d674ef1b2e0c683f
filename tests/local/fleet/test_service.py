from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.local.fleet.harness import ApiError

if TYPE_CHECKING:
    from tests.local.fleet.harness import Local

SIGNED = "AWS4-HMAC-SHA256 Credential=x/20260102/{}/{}/aws4_request, SignedHeaders=host"
FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("authorization", "body", "code"),
    [
        ("", b"Action=DescribeInstances", b"UnknownService"),
        (SIGNED.format("eu-west-1", "s3"), b"Action=ListBuckets", b"UnknownService"),
        (SIGNED.format("us-east-1", "ec2"), b"Action=DescribeInstances", b"UnknownRegion"),
        (SIGNED.format("eu-west-1", "ec2"), b"Action=LaunchRocket", b"InvalidAction"),
        (SIGNED.format("eu-west-1", "ec2"), b"", b"InvalidAction"),
    ],
    ids=["unsigned", "service", "region", "action", "nothing"],
)
def test_what_the_fleet_does_not_serve_is_refused_loudly(
    local: Local, authorization: str, body: bytes, code: bytes
) -> None:
    headers = {"HTTP_AUTHORIZATION": authorization, "CONTENT_TYPE": FORM}
    status, answer = local.http("POST", "/", body, headers)
    assert status == 400
    assert b"<Code>" + code + b"</Code>" in answer


def test_a_client_can_ask_who_it_is(local: Local) -> None:
    assert local.call("sts", "GetCallerIdentity")["Account"] == "123456789012"


def test_an_accident_inside_is_an_internal_failure(
    local: Local, capsys: pytest.CaptureFixture[str]
) -> None:
    local.make_group()
    with pytest.raises(ApiError) as refused:
        local.call("autoscaling", "ExecutePolicy", PolicyName="none")
    assert (refused.value.status, refused.value.code) == (500, "InternalFailure")
    assert "KeyError" in capsys.readouterr().err

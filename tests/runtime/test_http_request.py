from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.events import event
from triggerfish.errors import InputError
from triggerfish.runtime.http_request import HttpRequest, http_request

AT = datetime(2026, 11, 24, 12, 0, 0, 123000, tzinfo=UTC)


def test_v2_keeps_path_and_query_as_they_were_sent() -> None:
    assert http_request(event("http/v2_json")) == HttpRequest(
        method="POST",
        raw_path="/hooks/github%20x",
        raw_query="a=1&a=2&b=%7Ec",
        headers={
            "content-length": ("17",),
            "content-type": ("application/json",),
            "host": ("abc123.execute-api.us-east-1.amazonaws.com",),
            "x-amzn-trace-id": ("Root=1-5e6722a7-cc56xmpl46db7ae02d4da47e",),
            "x-forwarded-for": ("192.0.2.7",),
            "x-hub-signature-256": ("sha256=00",),
            "accept": ("*/*,application/json",),
        },
        cookies=("s=1", "t=2"),
        body=b'{"zen": "F\xc3\xafsh"}\n',
        source_ip="192.0.2.7",
        request_id="JKJaXmPLvHcESHA=",
        stage="$default",
        at=AT,
    )


def test_v2_base64_bodies_are_exact_bytes() -> None:
    request = http_request(event("http/v2_form"))
    assert request.body == b"payload=%7B%7D&b=\x00\xff"
    assert (request.raw_path, request.stage) == ("/prod/slack", "prod")
    assert request.cookies == ()


def test_a_function_url_without_body_cookies_or_query() -> None:
    request = http_request(event("http/function_url"))
    assert (request.method, request.body, request.raw_query, request.cookies) == (
        "GET",
        b"",
        "",
        (),
    )


def test_v1() -> None:
    assert http_request(event("http/v1")) == HttpRequest(
        method="POST",
        raw_path="/hooks/git hub",
        raw_query="a=1&a=2&b=~%20c",
        headers={
            "content-type": ("application/json",),
            "x-sig": ("good", "evil"),
            "cookie": ("s=1; t=2",),
        },
        cookies=("s=1", "t=2"),
        body=b"\x00\xff",
        source_ip="192.0.2.7",
        request_id="c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
        stage="prod",
        at=AT,
    )


def test_a_rest_request_with_everything_null() -> None:
    request = http_request(event("http/rest_empty"))
    assert (request.headers, request.body, request.raw_query) == ({}, b"", "")


def test_header_names_that_differ_in_case_are_one_header() -> None:
    changed = event("http/v1") | {"multiValueHeaders": {"X-Sig": ["good"], "x-sig": ["evil"]}}
    assert http_request(changed).headers == {"x-sig": ("good", "evil")}


def test_underscores_do_not_become_hyphens() -> None:
    changed = event("http/v2_json") | {"headers": {"x_sig": "evil"}}
    assert http_request(changed).header("X-Sig") is None


def test_a_repeated_header_has_no_one_value() -> None:
    request = http_request(event("http/v1"))
    assert request.header("Content-Type") == "application/json"
    assert request.header("missing") is None
    with pytest.raises(InputError) as failure:
        request.header("X-Sig")
    assert str(failure.value) == "the header X-Sig came 2 times, wanted once"


@pytest.mark.parametrize("name", ["http/v1", "http/v2_json"])
def test_a_body_that_is_not_base64_is_refused(name: str) -> None:
    with pytest.raises(InputError) as failure:
        http_request(event(name) | {"body": "*not base64*", "isBase64Encoded": True})
    assert str(failure.value) == "HTTP request: the body is not base64"


def test_a_body_that_is_not_unicode_is_refused() -> None:
    with pytest.raises(InputError) as failure:
        http_request(event("http/v2_json") | {"body": "\ud800"})
    assert str(failure.value) == "HTTP request: the body is not valid Unicode"


def test_a_missing_required_field_says_where() -> None:
    with pytest.raises(InputError) as failure:
        http_request({"rawPath": "/", "requestContext": {"http": {}}})
    assert str(failure.value) == (
        "HTTP request (v2): Object missing required field `method` - at `$.requestContext.http`"
    )


def test_a_query_that_is_not_unicode_is_refused() -> None:
    with pytest.raises(InputError) as failure:
        http_request(event("http/v1") | {"multiValueQueryStringParameters": {"a": ["\ud800"]}})
    assert str(failure.value) == "HTTP request (v1): query: surrogates not allowed"

"""One HTTP request as API Gateway (HTTP API v2 and v1, REST) and function URLs hand it over. Pure.

The body is exact bytes, because senders sign bytes; API Gateway base64-encodes all but a few text
types, forms included. v2 keeps path and query as they were sent; v1 has decoded the query, so
`raw_query` is then written anew and is not for verifying signatures.

Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from msgspec import Struct

from triggerfish.errors import InputError
from triggerfish.runtime.wire import converted, time_from_epoch_ms

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime


class HttpRequest(Struct, frozen=True, kw_only=True):
    method: str
    raw_path: str
    """As the gateway gives it, which is with the stage in front for a stage that has a name."""
    raw_query: str
    headers: Mapping[str, tuple[str, ...]]
    """Names in lower case. v2 has joined repeated headers with commas before we see them."""
    cookies: tuple[str, ...]
    body: bytes
    source_ip: str
    request_id: str
    stage: str
    at: datetime | None

    def header(self, name: str) -> str | None:
        """Return the one value of a header, None without it.

        Raises InputError where it is repeated: which one a sender signed can't be known.
        """
        values = self.headers.get(name.lower(), ())
        if len(values) > 1:
            raise InputError(f"the header {name} came {len(values)} times, wanted once")
        return values[0] if values else None


class _V2Http(Struct, rename="camel"):
    method: str
    source_ip: str = ""


class _V2Context(Struct, rename="camel"):
    http: _V2Http
    request_id: str = ""
    stage: str = "$default"
    time_epoch: int | None = None


class _V2(Struct, rename="camel"):
    raw_path: str
    request_context: _V2Context
    raw_query_string: str = ""
    headers: dict[str, str | None] | None = None
    cookies: list[str] | None = None
    body: str | None = None
    is_base64_encoded: bool | None = False


class _V1Identity(Struct, rename="camel"):
    source_ip: str | None = None


class _V1Context(Struct, rename="camel"):
    request_id: str = ""
    stage: str = "$default"
    identity: _V1Identity | None = None
    request_time_epoch: int | None = None


class _V1(Struct, rename="camel"):
    http_method: str
    path: str
    request_context: _V1Context
    headers: dict[str, str | None] | None = None
    multi_value_headers: dict[str, list[str] | None] | None = None
    query_string_parameters: dict[str, str | None] | None = None
    multi_value_query_string_parameters: dict[str, list[str] | None] | None = None
    body: str | None = None
    is_base64_encoded: bool | None = False


def http_request(event: Mapping[str, object]) -> HttpRequest:
    """Parse either version of the payload. Raises InputError."""
    if "rawPath" in event:
        return _from_v2(converted(event, _V2, "HTTP request (v2)"))
    return _from_v1(converted(event, _V1, "HTTP request (v1)"))


def _from_v2(event: _V2) -> HttpRequest:
    context = event.request_context
    return HttpRequest(
        method=context.http.method.upper(),
        raw_path=event.raw_path,
        raw_query=event.raw_query_string,
        headers=_headers(_once(event.headers)),
        cookies=tuple(event.cookies or ()),
        body=_body(event.body, is_base64=bool(event.is_base64_encoded)),
        source_ip=context.http.source_ip,
        request_id=context.request_id,
        stage=context.stage,
        at=time_from_epoch_ms(context.time_epoch),
    )


def _from_v1(event: _V1) -> HttpRequest:
    context = event.request_context
    headers = _headers(_many(event.multi_value_headers) or _once(event.headers))
    cookies = [cookie.strip() for line in headers.get("cookie", ()) for cookie in line.split(";")]
    query = _many(event.multi_value_query_string_parameters) or _once(event.query_string_parameters)
    return HttpRequest(
        method=event.http_method.upper(),
        raw_path=event.path,
        raw_query=_query(query),
        headers=headers,
        cookies=tuple(cookie for cookie in cookies if cookie),
        body=_body(event.body, is_base64=bool(event.is_base64_encoded)),
        source_ip=(context.identity and context.identity.source_ip) or "",
        request_id=context.request_id,
        stage=context.stage,
        at=time_from_epoch_ms(context.request_time_epoch),
    )


def _once(fields: Mapping[str, str | None] | None) -> list[tuple[str, str]]:
    return [(name, value) for name, value in (fields or {}).items() if value is not None]


def _many(fields: Mapping[str, list[str] | None] | None) -> list[tuple[str, str]]:
    return [(name, value) for name, values in (fields or {}).items() for value in values or ()]


def _headers(pairs: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    headers: dict[str, tuple[str, ...]] = {}
    for name, value in pairs:
        headers[name.lower()] = (*headers.get(name.lower(), ()), value)
    return headers


def _query(pairs: list[tuple[str, str]]) -> str:
    try:
        return urlencode(pairs, quote_via=quote)
    except UnicodeEncodeError as error:
        raise InputError(f"HTTP request (v1): query: {error.reason}") from None


def _body(body: str | None, *, is_base64: bool) -> bytes:
    try:
        if is_base64:
            return base64.b64decode(body or "", validate=True)
        return (body or "").encode()
    except (binascii.Error, ValueError) as error:
        reason = "is not base64" if is_base64 else "is not valid Unicode"
        raise InputError(f"HTTP request: the body {reason}") from error

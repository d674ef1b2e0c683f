"""A request and a response as values, and the pages Jenkins shows for errors."""

from __future__ import annotations

import html
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION = "2.528.2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    method: str
    target: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes = b""

    @property
    def segments(self) -> tuple[str, ...]:
        """The parts of the path, decoded once: `feature%252Fx` is the job `feature%2Fx`."""
        path = urlsplit(self.target).path
        return tuple(unquote(part) for part in path.split("/") if part)

    @property
    def fields(self) -> list[tuple[str, str]]:
        """Query and form together, as a servlet's getParameter sees them."""
        found = parse_qsl(urlsplit(self.target).query, keep_blank_values=True)
        if self.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            found += parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True)
        return found

    def field(self, name: str) -> str | None:
        return next((value for key, value in self.fields if key == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    status: int
    body: bytes = b""
    content_type: str = "text/html;charset=utf-8"
    headers: tuple[tuple[str, str], ...] = ()
    lost: bool = field(default=False)
    """The connection closes before anything of it is sent."""


def document(value: object, status: int = 200) -> Response:
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return Response(
        status=status, body=body.encode(), content_type="application/json;charset=utf-8"
    )


def text(value: str, *headers: tuple[str, str]) -> Response:
    return Response(
        status=200, body=value.encode(), content_type="text/plain;charset=utf-8", headers=headers
    )


def page(title: str) -> Response:
    return Response(
        status=200,
        body=f"<!DOCTYPE html><html><head><title>{html.escape(title)} - Jenkins</title></head>"
        f"<body><h1>{html.escape(title)}</h1></body></html>".encode(),
    )


def redirect(location: str, status: int = 302) -> Response:
    return Response(status=status, headers=(("Location", location),))


def error(status: int, message: str, *headers: tuple[str, str]) -> Response:
    """The error page of Jetty, which serves Jenkins."""
    safe = html.escape(message)
    body = (
        f"<html><head><title>Error {status} {safe}</title></head><body>"
        f"<h2>HTTP ERROR {status} {safe}</h2><table><tr><th>STATUS:</th><td>{status}</td></tr>"
        f"<tr><th>MESSAGE:</th><td>{safe}</td></tr></table></body></html>"
    )
    return Response(status=status, body=body.encode(), headers=headers)


def method_not_allowed() -> Response:
    return error(405, "This URL requires POST", ("Allow", "POST"))

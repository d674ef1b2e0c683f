"""Who calls, and the crumbs against forged requests.

A crumb belongs to the session that fetched it. A request with an API token needs none
(jenkins.security.ApiCrumbExclusion), one with a password or with nothing does.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING

from triggerfish.local.jenkins.exchange import Response, error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from triggerfish.local.jenkins.exchange import Request

COOKIE = "JSESSIONID.stand-in"
CRUMB_FIELD = "Jenkins-Crumb"


@dataclass(frozen=True, slots=True)
class Caller:
    name: str
    by_token: bool = False


class Access:
    """One user with an API token and, if given, a password; without a user everybody may."""

    def __init__(self, user: str | None, token: str | None, password: str | None) -> None:
        self.user = user
        self._token = token
        self._password = password
        self._salt = secrets.token_bytes(16)

    @property
    def is_secured(self) -> bool:
        return self.user is not None

    def identify(self, headers: Mapping[str, str]) -> Caller | Response:
        if self.user is None:
            return Caller("anonymous")
        scheme, _, encoded = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return error(
                403, "Authentication required", ("X-You-Are-Authenticated-As", "anonymous")
            )
        try:
            name, _, secret = base64.b64decode(encoded).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            name, secret = "", ""
        if _same(name, self.user) and _same(secret, self._token):
            return Caller(name, by_token=True)
        if _same(name, self.user) and _same(secret, self._password):
            return Caller(name)
        return error(
            401,
            f"Invalid password/token for user: {name}",
            ("WWW-Authenticate", 'Basic realm="Jenkins"'),
        )

    def issue(self, request: Request, caller: Caller) -> tuple[str, tuple[tuple[str, str], ...]]:
        """A crumb, and the header that starts the session it belongs to if there is none."""
        session = _session(request)
        if session is not None:
            return self._crumb(session, caller), ()
        session = secrets.token_hex(16)
        cookie = ("Set-Cookie", f"{COOKIE}={session}; Path=/; HttpOnly")
        return self._crumb(session, caller), (cookie,)

    def check(self, request: Request, caller: Caller) -> Response | None:
        """The refusal of a POST without a valid crumb."""
        if request.method != "POST" or caller.by_token:
            return None
        crumb = request.headers.get(CRUMB_FIELD.lower()) or request.field(CRUMB_FIELD)
        session = _session(request)
        if session is not None and _same(crumb, self._crumb(session, caller)):
            return None
        return error(403, "No valid crumb was included in the request")

    def _crumb(self, session: str, caller: Caller) -> str:
        return hmac.new(self._salt, f"{caller.name};{session}".encode(), hashlib.sha256).hexdigest()


def _session(request: Request) -> str | None:
    try:
        cookies = SimpleCookie(request.headers.get("cookie", ""))
    except CookieError:
        return None
    return cookies[COOKIE].value if COOKIE in cookies else None


def _same(given: str | None, wanted: str | None) -> bool:
    if given is None or wanted is None:
        return False
    return hmac.compare_digest(given.encode(), wanted.encode())

"""Secrets, read where their references point, kept for minutes, never shown."""

from __future__ import annotations

import os
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, NoReturn, assert_never

from triggerfish.blueprint import Call
from triggerfish.errors import InputError, Refused
from triggerfish.runtime.aws import calling
from triggerfish.runtime.wire import decoded

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from triggerfish.runtime.aws import Clients
    from triggerfish.secret_reference import SecretReference
    from triggerfish.types import Clock


class Secret:
    """Text that is not shown by print, format, repr, a log line or a traceback."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "Secret(***)"

    def __str__(self) -> str:
        return "***"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")


def secret_calls(reference: SecretReference) -> tuple[Call, ...]:
    """Say which calls reading this secret takes, on its exact ARN.

    Secrets Manager ends a secret's ARN in a hyphen and six random characters. What is encrypted
    under a key of the customer's own needs `kms:Decrypt` on that key besides, which the reference
    can't tell.
    """
    place = "${AWS::Region}:${AWS::AccountId}"
    match reference.scheme:
        case "ssm":
            name = reference.name.removeprefix("/")
            arn = f"arn:${{AWS::Partition}}:ssm:{place}:parameter/{name}"
            return (Call("ssm:GetParameter", arn),)
        case "secretsmanager":
            name = reference.name
            arn = f"arn:${{AWS::Partition}}:secretsmanager:{place}:secret:{name}-??????"
            return (Call("secretsmanager:GetSecretValue", arn),)
        case "env":
            return ()
        case _:
            assert_never(reference.scheme)


class Secrets:
    """Reads secrets and remembers each for `ttl_s`, so that a rotated one is seen soon."""

    def __init__(
        self,
        clients: Clients,
        clock: Clock,
        *,
        ttl_s: int = 300,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self._clients = clients
        self._clock = clock
        self._ttl = timedelta(seconds=ttl_s)
        self._environment = environment
        self._kept: dict[SecretReference, tuple[datetime, Secret]] = {}
        self._lock = threading.Lock()

    def read(self, reference: SecretReference) -> Secret:
        """Return the secret. Raises Refused where there is none, Unavailable to try again later."""
        now = self._clock.now()
        with self._lock:
            kept = self._kept.get(reference)
        if kept and now < kept[0] + self._ttl:
            return kept[1]
        secret = Secret(self._value(reference))
        with self._lock:
            self._kept[reference] = (now, secret)
        return secret

    def forget(self, reference: SecretReference) -> None:
        """Read it anew next time: a peer has just refused it, so it may have been rotated."""
        with self._lock:
            self._kept.pop(reference, None)

    def _value(self, reference: SecretReference) -> str:
        text = self._text(reference)
        if text is None:
            raise Refused(f"there is no secret at {reference}")
        if reference.key is None:
            return text
        try:
            content = decoded(text, "the secret")
        except InputError:
            content = None  # its message could tell about the secret
        value = content.get(reference.key) if isinstance(content, dict) else None
        if not isinstance(value, str):
            raise Refused(
                f"the secret at {reference} is not a JSON object with text under that key"
            )
        return value

    def _text(self, reference: SecretReference) -> str | None:
        match reference.scheme:
            case "ssm":
                return self._parameter(reference.name)
            case "secretsmanager":
                return self._secret(reference.name)
            case "env":
                return self._environment.get(reference.name)
            case _:
                assert_never(reference.scheme)

    def _parameter(self, name: str) -> str | None:
        client = self._clients.ssm
        with calling("ssm:GetParameter", name):
            try:
                answer = client.get_parameter(Name=name, WithDecryption=True)
            except client.exceptions.ParameterNotFound:
                return None
        return answer["Parameter"].get("Value")

    def _secret(self, name: str) -> str | None:
        client = self._clients.secretsmanager
        with calling("secretsmanager:GetSecretValue", name):
            try:
                answer = client.get_secret_value(SecretId=name)
            except client.exceptions.ResourceNotFoundException:
                return None
        return answer.get("SecretString")

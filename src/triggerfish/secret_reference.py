"""Where a secret is kept. Never the secret: no message made here holds any of what was given."""

from typing import Literal, Self, cast

from triggerfish.text_value import TextValue

Scheme = Literal["ssm", "secretsmanager", "env"]

FORMS = '"ssm:/path", "secretsmanager:name#key" or, in the local stage, "env:NAME"'

_ALPHANUMERIC = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
_NAME_CHARACTERS = {
    # https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html
    "ssm": _ALPHANUMERIC | frozenset("_.-/"),
    # https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html
    "secretsmanager": _ALPHANUMERIC | frozenset("/_+=.@-"),
    "env": _ALPHANUMERIC | frozenset("_"),
}


class SecretReference(TextValue):
    """`ssm:/path`, `secretsmanager:name` or `secretsmanager:name#key`, or `env:NAME`."""

    __slots__ = ("key", "name", "scheme")
    scheme: Scheme
    name: str
    key: str | None
    """The key inside a Secrets Manager secret that is a JSON object; None: the whole secret."""

    def __init__(self, scheme: Scheme, name: str, key: str | None = None) -> None:
        object.__setattr__(self, "scheme", scheme)
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "key", key)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises `ValueError`, whose message holds nothing of `text`: it may be the secret."""
        scheme, _, rest = text.partition(":")
        if scheme not in _NAME_CHARACTERS:
            raise ValueError("not a secret reference")
        name, key = rest, None
        if scheme == "secretsmanager":
            name, hash_sign, after = rest.partition("#")
            key = after if hash_sign else None
        if not name or not _NAME_CHARACTERS[scheme].issuperset(name):
            raise ValueError(f'"{scheme}:" is not followed by a valid name')
        if scheme == "env" and name[0].isdigit():
            raise ValueError('"env:" is not followed by a valid name')
        if scheme == "ssm" and "/" in name and (name[0] != "/" or name[-1] == "/" or "//" in name):
            raise ValueError('the path after "ssm:" must begin with "/" and name a parameter')
        if key is not None and (not key or not key.isprintable()):
            raise ValueError('"#" is not followed by a key')
        return cls(cast("Scheme", scheme), name, key)

    def __str__(self) -> str:
        return f"{self.scheme}:{self.name}" + (f"#{self.key}" if self.key is not None else "")

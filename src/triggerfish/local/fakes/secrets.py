"""Secrets from a mapping, for tests and simulations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from triggerfish.errors import Refused
from triggerfish.runtime.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from triggerfish.secret_reference import SecretReference


class FixedSecrets:
    def __init__(self, values: Mapping[str, str]) -> None:
        """`values` maps a reference as text (`ssm:/jenkins/token`) to the secret."""
        self._values = values
        self.forgotten: list[str] = []

    def read(self, reference: SecretReference) -> Secret:
        if str(reference) not in self._values:
            raise Refused(f"there is no secret at {reference}")
        return Secret(self._values[str(reference)])

    def forget(self, reference: SecretReference) -> None:
        self.forgotten.append(str(reference))

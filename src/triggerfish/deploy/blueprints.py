"""What all triggers of a config need."""

from __future__ import annotations

from typing import TYPE_CHECKING

from triggerfish.triggers import TRIGGERS, room

if TYPE_CHECKING:
    from triggerfish.blueprint import Blueprint
    from triggerfish.config.model import Config


def collect(config: Config, stage: str) -> list[tuple[str, Blueprint]]:
    """Each trigger's name and blueprint, in the registry's order."""
    return [(name, room(name, "resources").blueprint(config, stage)) for name in TRIGGERS]


def stack_name(config: Config, stage: str) -> str:
    return f"{config.name}-{stage}"

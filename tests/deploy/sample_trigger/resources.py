"""The room of a trigger that deploying reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.deploy.samples import make_blueprint

if TYPE_CHECKING:
    from triggerfish.blueprint import Blueprint
    from triggerfish.config.model import Config


def blueprint(config: Config, stage: str) -> Blueprint:
    assert config.name == "shop"
    return make_blueprint(outputs=(("Stage", stage),))

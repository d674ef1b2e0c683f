"""Whoever knows one trigger knows all: each has the same front rooms."""

from pathlib import Path

import pytest

import triggerfish
from triggerfish.config.model import Config
from triggerfish.triggers import ROOMS, TRIGGERS, has_room, room


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_every_trigger_has_its_front_rooms(trigger: str) -> None:
    assert [name for name in ROOMS if not has_room(trigger, name)] == []


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_every_trigger_has_its_key_in_the_config(trigger: str) -> None:
    assert trigger in Config.__struct_fields__


def test_every_folder_with_a_handler_is_registered() -> None:
    package = Path(triggerfish.__file__).parent
    folders = {handler.parent.name for handler in package.glob("*/handler.py")}
    assert folders <= set(TRIGGERS)


def test_room_is_the_module() -> None:
    assert room("provision", "config").__name__ == "triggerfish.provision.config"

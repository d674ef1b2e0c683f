"""The registry of triggers: one line each. Names only, so that importing it imports no trigger."""

import importlib
from importlib.util import find_spec
from types import ModuleType

TRIGGERS: dict[str, str] = {
    "provision": "triggerfish.provision",
    "audit": "triggerfish.audit",
    "notices": "triggerfish.notices",
}
"""The name of each trigger and its package."""

ROOMS = ("config", "handler", "resources", "commands")
"""The modules every trigger has: whoever knows one trigger knows all."""


def room(trigger: str, name: str) -> ModuleType:
    """The module `name` of `trigger`, imported when it is first asked for."""
    return importlib.import_module(f"{TRIGGERS[trigger]}.{name}")


def has_room(trigger: str, name: str) -> bool:
    """Whether `trigger` has the module `name`, without importing that module."""
    return find_spec(f"{TRIGGERS[trigger]}.{name}") is not None

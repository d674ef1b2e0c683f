"""The part of the config that each function needs, as it is baked into the function's artifact."""

from __future__ import annotations

from typing import TYPE_CHECKING

from triggerfish.codec import encode
from triggerfish.provision.config import ProvisionSettings

if TYPE_CHECKING:
    from triggerfish.config.model import Config


def provision_settings(config: Config) -> ProvisionSettings:
    """The groups, and only those Jenkins servers that a group names."""
    used = {group.jenkins for group in config.provision}
    return ProvisionSettings(
        groups=config.provision,
        jenkins={name: jenkins for name, jenkins in config.jenkins.items() if name in used},
    )


def provision_settings_json(config: Config) -> bytes:
    """What `triggerfish.codec.decode(data, ProvisionSettings)` reads back in the function."""
    return encode(provision_settings(config))

"""The world that notices need in the local cloud: a sender that SES has verified, and secrets.

The local SES is out of its sandbox: it takes mail to anyone, and `triggerfish mail` shows it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from triggerfish.runtime.aws import calling

if TYPE_CHECKING:
    from triggerfish.config.model import Config
    from triggerfish.runtime.aws import Clients


class NoticesWorld:
    def __init__(self, config: Config) -> None:
        self._notices = config.notices
        channels = config.notices.channels if config.notices else ()
        named = [one.url.name for one in channels if one.url.scheme == "env"]
        self.secret_variables: dict[str, str] = {
            name: os.environ[name] for name in named if name in os.environ
        }
        """The variables that `env:` references name, with their values, as far as they're set."""

    def make(self, clients: Clients) -> None:
        """Have SES know the sender. Nothing happens where it does already."""
        if self._notices is None or self._notices.sender is None:
            return
        ses = clients.client("sesv2")
        with calling("ses:CreateEmailIdentity", self._notices.sender):
            try:
                ses.create_email_identity(EmailIdentity=self._notices.sender)
            except ses.exceptions.AlreadyExistsException:
                return

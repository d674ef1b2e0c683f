"""All channels but mail: Apprise knows over a hundred of them, each by a URL that is a secret.

Apprise is imported when the first message goes out: it takes as long as everything else together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from triggerfish.errors import Refused, Unavailable
from triggerfish.notices.escaping import clipped, shown

if TYPE_CHECKING:
    from triggerfish.notice import Severity
    from triggerfish.notices.config import Channel
    from triggerfish.notices.deliver import Outgoing
    from triggerfish.runtime.secrets import Secrets

TIMEOUT_S = 12
REASON = 300


class AppriseChannel:
    def __init__(self, channel: Channel, secrets: Secrets) -> None:
        self.name = channel.name
        self._url = channel.url
        self._secrets = secrets

    def send(self, outgoing: Outgoing) -> str:
        """Send; there is nothing to answer. Raises Refused, Unavailable. Never tells the URL."""
        url = self._secrets.read(self._url).reveal()
        try:
            import apprise  # noqa: PLC0415  its import is long
        except ImportError as error:
            raise Refused(
                "this function was packaged without Apprise", hint="deploy again"
            ) from error
        asset = apprise.AppriseAsset(
            async_mode=False,
            secure_logging=True,
            service_timeout=TIMEOUT_S,
            storage_mode=apprise.PersistentStoreMode.MEMORY,
        )
        service = apprise.Apprise(asset=asset)
        try:
            result = service.add(url) and service.notify(
                title=outgoing.message.chat_title,
                body=outgoing.message.chat,
                notify_type=_type(outgoing.message.severity),
                body_format=apprise.NotifyFormat.TEXT,
                timeout=TIMEOUT_S,
            )
        except Exception as error:  # noqa: BLE001 - plug-ins of others; it may hold the URL
            raise Unavailable(f"Apprise raised {type(error).__name__}") from None
        if result:
            return "sent"
        self._secrets.forget(self._url)
        if result is False:
            raise Refused(f"the secret at {self._url} is no URL that Apprise knows")
        said = "; ".join(entry.message for entry in result.logs()) or "no reason given"
        raise Unavailable(f"not taken: {clipped(shown(said.replace(url, '***')), REASON)}")


def _type(severity: Severity) -> str:
    match severity:
        case "critical" | "high":
            return "failure"
        case "warning" | "medium":
            return "warning"
        case _:
            return "info"

"""What the user writes for notices: `[notices]` and `[[notices.channels]]`.

The function reads the same classes from its baked settings, so this module stays quick to import.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from triggerfish.durations import Duration
from triggerfish.notice import Severity
from triggerfish.secret_reference import SecretReference

MAIL = "mail"
"""The channel that `sender` and `to` make; it comes before the others."""

Address = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}$",
        max_length=254,
        extra={"wanted": 'a mail address such as "ops@example.com"'},
    ),
]
ChannelName = Annotated[
    str,
    Meta(
        pattern="^[a-z][a-z0-9-]{0,19}$",
        extra={"wanted": "a lower-case letter, then up to 19 of a-z, 0-9 and -"},
    ),
]
Trigger = Literal["audit", "provision"]
"""Who may be routed by. What notices say of themselves (a test, the canary) goes everywhere."""

LeastSeverity = Annotated[
    Severity, Meta(description="Only what is as severe as this, or more, goes here.")
]
OnlyTriggers = Annotated[
    tuple[Trigger, ...], Meta(description="Only what these triggers say goes here; none: all.")
]


class Channel(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Annotated[ChannelName, Meta(description="What this channel is called, in your words.")]
    url: Annotated[
        SecretReference,
        Meta(description="Where its Apprise URL is kept: a reference, never the URL."),
    ]
    severity: LeastSeverity = "info"
    triggers: OnlyTriggers = ()


class Notices(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    sender: Annotated[
        Address | None,
        Meta(description="The address that mail comes from: SES must have verified it."),
    ] = None
    to: Annotated[
        tuple[Address, ...], Meta(description="Who gets mail. SES shows each of them all.")
    ] = ()
    severity: LeastSeverity = "info"
    triggers: OnlyTriggers = ()
    window: Annotated[
        Duration,
        Meta(
            description="How long repeats of one matter are collected before they become one"
            " digest. Critical ones never wait.",
            extra={"least": Duration(60), "most": Duration(86_400)},
        ),
    ] = field(default_factory=lambda: Duration(3600))
    limit: Annotated[
        Annotated[int, Meta(ge=2, le=1000)],
        Meta(
            description="How many messages go out in an hour. What is beyond is held back, told in"
            " the next message, and never dropped. Critical ones are counted and not held."
        ),
    ] = 30
    canary: Annotated[
        bool,
        Meta(description="Whether a test notice goes to every channel each Monday."),
    ] = True
    channels: Annotated[
        tuple[Channel, ...],
        Meta(description="Channels beside mail; one that fails is replaced by the next."),
    ] = ()


class NoticesSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is baked into the notices function."""

    notices: Notices

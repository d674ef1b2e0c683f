"""What the user writes for provision: `[[provision]]` and `[jenkins.NAME]`.

The types say what one value may be; `config_rules` says what the values may be together. The
function reads the same classes from its baked settings, so this module stays quick to import.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from triggerfish.durations import Duration
from triggerfish.secret_reference import SecretReference
from triggerfish.templates import MEMBER_FIELDS, NAMING_FIELDS, Template

NamingTemplate = Annotated[Template, Meta(extra={"fields": NAMING_FIELDS})]
MemberTemplate = Annotated[Template, Meta(extra={"fields": MEMBER_FIELDS})]
Text = Annotated[str, Meta(min_length=1)]
SubnetId = Annotated[
    str,
    Meta(pattern="^subnet-[0-9a-f]{8,17}$", extra={"wanted": 'a subnet such as "subnet-0a1b2c3d"'}),
]
SecurityGroupId = Annotated[
    str,
    Meta(pattern="^sg-[0-9a-f]{8,17}$", extra={"wanted": 'a security group such as "sg-0a1b2c3d"'}),
]


class Jenkins(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    url: Annotated[
        Text,
        Meta(description="The address of Jenkins, as the function in the VPC reaches it."),
    ]
    user: Annotated[Text, Meta(description="The Jenkins user whose API token is used.")]
    token: Annotated[
        SecretReference,
        Meta(description="Where that user's API token is kept: a reference, never the token."),
    ]
    subnets: Annotated[
        tuple[SubnetId, ...],
        Meta(description="The subnets the function runs in to reach Jenkins; none: outside a VPC."),
    ] = ()
    security_groups: Annotated[
        tuple[SecurityGroupId, ...],
        Meta(description="The security groups the function has in those subnets."),
    ] = ()


class ProvisionGroup(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    group: Annotated[
        Annotated[
            str,
            Meta(
                pattern=r"^[^\s:]([^:]*[^\s:])?$",
                max_length=255,
                extra={"wanted": "the name of an Auto Scaling group"},
            ),
        ],
        Meta(description="The Auto Scaling group."),
    ]
    name: Annotated[
        NamingTemplate,
        Meta(description="The `Name` tag of a member; holds `{number}` or `{instance}`."),
    ]
    domain: Annotated[
        NamingTemplate,
        Meta(description="The member's DNS name in `zone`; holds `{number}` or `{instance}`."),
    ]
    zone: Annotated[
        Text, Meta(description="The private Route 53 zone of `domain`, without a final dot.")
    ]
    mode: Annotated[
        Literal["elastic", "stateful"],
        Meta(
            description="`elastic`: the lowest free number. `stateful`: numbers 1 to `size`, and a"
            " replacement takes the number and name of the dead member."
        ),
    ] = "elastic"
    size: Annotated[
        Annotated[int, Meta(ge=1, le=5000)] | None,
        Meta(description="How many numbers a stateful group has; elastic groups have no size."),
    ] = None
    tags: Annotated[
        dict[Annotated[str, Meta(min_length=1, max_length=128)], MemberTemplate],
        Meta(description="More tags of a member; the values are templates."),
    ] = {}
    jenkins: Annotated[Text, Meta(description="The NAME of the `[jenkins.NAME]` that runs `jobs`.")]
    jobs: Annotated[
        tuple[Text, ...],
        Meta(
            min_length=1,
            description="The Jenkins jobs that provision a member, run in this order;"
            " folders are written `folder/job`.",
        ),
    ]
    parameters: Annotated[
        dict[Text, MemberTemplate],
        Meta(description="The parameters each job is given; the values are templates."),
    ] = {}
    finish: Annotated[
        Literal["healthy", "built"],
        Meta(
            description="A member is done when every target group of the group calls it healthy"
            " (`healthy`), or when its last build succeeded (`built`)."
        ),
    ] = "healthy"
    hook: Annotated[
        Text | None,
        Meta(
            description="The group's launch lifecycle hook, completed when a member is provisioned."
        ),
    ] = None
    timeout: Annotated[
        Duration,
        Meta(
            description="How long a member may take from launch to service, retries included.",
            extra={"least": Duration(60), "most": Duration(48 * 3600)},
        ),
    ] = field(default_factory=lambda: Duration(30 * 60))
    attempts: Annotated[
        Annotated[int, Meta(ge=1, le=10)],
        Meta(description="How often each job is tried before the member has failed."),
    ] = 2
    on_failure: Annotated[
        Literal["keep", "abandon", "terminate"],
        Meta(
            description="What happens to a member that failed: it is kept, its lifecycle action is"
            " abandoned, or it is terminated."
        ),
    ] = "keep"
    ttl: Annotated[
        Duration,
        Meta(
            description="The TTL of the DNS record; a freed number rests as long.",
            extra={"least": Duration(1), "most": Duration(86_400)},
        ),
    ] = field(default_factory=lambda: Duration(60))


class ProvisionSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is baked into the provision function."""

    groups: tuple[ProvisionGroup, ...]
    jenkins: dict[str, Jenkins]

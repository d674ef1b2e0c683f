"""triggerfish.toml as a frozen model. A trigger's own part is in its `config.py`."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from triggerfish.audit.config import Audit
from triggerfish.notices.config import Notices
from triggerfish.provision.config import Jenkins, ProvisionGroup

REGION = "^[a-z]{2}(-[a-z]+)+-[0-9]$"

ShortName = Annotated[
    str,
    Meta(
        pattern="^[a-z][a-z0-9-]{0,19}$",
        extra={"wanted": "a lower-case letter, then up to 19 of a-z, 0-9 and -"},
    ),
]
Region = Annotated[
    str, Meta(pattern=REGION, extra={"wanted": 'an AWS region such as "eu-central-1"'})
]
AccountId = Annotated[
    str,
    Meta(pattern="^[0-9]{12}$", extra={"wanted": 'an AWS account of 12 digits, as "123456789012"'}),
]


class FunctionDefaults(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    runtime: Annotated[
        Literal["python3.11", "python3.12", "python3.13", "python3.14"],
        Meta(description="The Lambda runtime of every function."),
    ] = "python3.13"
    architecture: Annotated[
        Literal["arm64", "x86_64"], Meta(description="The processor of every function.")
    ] = "arm64"
    memory: Annotated[
        Annotated[int, Meta(ge=128, le=10_240)] | None,
        Meta(
            description="The memory of every function in MB; without it, what each trigger needs."
        ),
    ] = None


class Stage(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    region: Annotated[
        Region | None, Meta(description="The region of this stage, when it isn't `region`.")
    ] = None
    account: Annotated[
        AccountId | None,
        Meta(description="The only AWS account this stage may be deployed to."),
    ] = None


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Annotated[
        ShortName, Meta(description="What everything in AWS is named after: `<name>-<stage>`.")
    ]
    region: Annotated[Region, Meta(description="The AWS region, also of the local stage.")]
    functions: Annotated[
        FunctionDefaults, Meta(description="What holds for every Lambda function.")
    ] = FunctionDefaults()
    stage: Annotated[
        dict[ShortName, Stage],
        Meta(description="Deployments beside `local`: `--stage NAME` picks one."),
    ] = {}
    jenkins: Annotated[
        dict[ShortName, Jenkins], Meta(description="The Jenkins servers that provision members.")
    ] = {}
    provision: Annotated[
        tuple[ProvisionGroup, ...],
        Meta(description="The Auto Scaling groups whose members are provisioned."),
    ] = ()
    audit: Annotated[
        Audit | None,
        Meta(description="Where Redshift's audit logs come from, and what is looked for in them."),
    ] = None
    notices: Annotated[
        Notices | None,
        Meta(description="Who is told, and where. Without it nobody is; `status` shows what was."),
    ] = None

    def stack(self, stage: str) -> str:
        """The CloudFormation stack, and the first part of every name in it."""
        return f"{self.name}-{stage}"

    def region_in(self, stage: str) -> str:
        found = self.stage.get(stage)
        return (found.region if found else None) or self.region

    def account_in(self, stage: str) -> str | None:
        found = self.stage.get(stage)
        return found.account if found else None

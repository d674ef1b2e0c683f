"""Imports the moto services the fleet serves in under half the time. Import this before any moto.

moto's own import costs 1.4 s; of that, EC2, Auto Scaling and ELBv2 use nothing of:

* `boto3`: three lists of region names, read by parsing botocore's whole endpoint file (0.6 s);
* `responses`, for mocking inside a test process (0.1 s);
* the instance types of every region, and 1,300 machine images (0.4 s, and 2 ms a launch).

While moto is imported, these stand aside for the few names moto reads from them; afterwards the
real modules are as they were. Nothing of moto's behaviour is changed here: see `mending`.
"""

from __future__ import annotations

import contextlib
import os
import sys
import types
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_REGIONS = """
af-south-1 ap-east-1 ap-northeast-1 ap-northeast-2 ap-northeast-3 ap-south-1 ap-southeast-1
ap-southeast-2 ap-southeast-3 ca-central-1 eu-central-1 eu-north-1 eu-south-1 eu-west-1 eu-west-2
eu-west-3 me-south-1 sa-east-1 us-east-1 us-east-2 us-west-1 us-west-2
"""


class _Session:
    """What moto asks of a `boto3.Session` while it is imported, and when it makes a backend."""

    def get_available_partitions(self) -> list[str]:
        return ["aws"]

    def get_available_regions(self, _service: str, partition_name: str = "aws") -> list[str]:
        return _REGIONS.split() if partition_name == "aws" else []

    def get_available_services(self) -> list[str]:
        return []


def _module(name: str, **names: object) -> types.ModuleType:
    module = types.ModuleType(name)
    vars(module).update(names)
    return module


def _stand_ins() -> dict[str, types.ModuleType]:
    mocking = {name: type(name, (), {}) for name in ("MockAWS", "ProxyModeMockAWS")}
    return {
        "boto3": _module("boto3", Session=_Session),
        "moto.core.models": _module(
            "moto.core.models",
            DEFAULT_ACCOUNT_ID="123456789012",
            ServerModeMockAWS=type("ServerModeMockAWS", (), {}),
            patch_client=None,
            patch_resource=None,
            **mocking,
        ),
    }


@contextlib.contextmanager
def _standing_aside() -> Iterator[None]:
    stand_ins = _stand_ins()
    real = {name: sys.modules.get(name) for name in stand_ins}
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for name, module in real.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


def _skip_instance_types() -> None:
    from moto.utilities import utils  # noqa: PLC0415 - only once the stand-ins are in place

    load = utils.load_resource

    def load_small(resource: str) -> Any:
        if "instance_type_offerings" in resource:
            return []
        return {} if resource.endswith("instance_types.json") else load(resource)

    utils.load_resource = load_small


def _import() -> None:
    if "moto" in sys.modules:
        return
    os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"
    with _standing_aside():
        _skip_instance_types()
        import moto.autoscaling.responses  # noqa: PLC0415
        import moto.ec2.responses  # noqa: PLC0415
        import moto.elbv2.responses  # noqa: PLC0415
        import moto.sts.responses  # noqa: F401, PLC0415


_import()

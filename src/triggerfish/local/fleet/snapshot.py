"""What a snapshot holds, and how it comes back.

moto's classes are pickled as they are, so a snapshot is read only by the moto and Python that wrote
it; any other is set aside and the fleet starts empty, saying so.
"""

from __future__ import annotations

import importlib.metadata
import json
import pickle
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from moto.autoscaling.models import autoscaling_backends
from moto.ec2.models import ec2_backends
from moto.elb.models import elb_backends
from moto.elbv2.models import elbv2_backends

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from moto.core.base_backend import BackendDict

    from triggerfish.local.fleet.fleet import Fleet

FORMAT = 1
REGISTRIES: Mapping[str, BackendDict[Any]] = {
    "ec2": ec2_backends,
    "elb": elb_backends,
    "elbv2": elbv2_backends,
    "autoscaling": autoscaling_backends,
}
_DEEP = 100_000
"""Instances, interfaces and subnets refer to each other: pickling follows them to any depth."""


@contextmanager
def _deep_stack() -> Iterator[None]:
    """Recursion as deep as the graph; only here, since elsewhere the limit guards the C stack."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, _DEEP))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def header(fleet: Fleet) -> dict[str, object]:
    return {
        "format": FORMAT,
        "moto": importlib.metadata.version("moto"),
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "account": fleet.account,
        "region": fleet.region,
    }


def dump(fleet: Fleet) -> tuple[int, bytes]:
    with fleet.lock, _deep_stack():
        backends = {
            name: registry[fleet.account][fleet.region] for name, registry in REGISTRIES.items()
        }
        version = fleet.version
        body = pickle.dumps((version, fleet.state, backends), protocol=5)
    return version, json.dumps(header(fleet)).encode() + b"\n" + body


def restore(fleet: Fleet, path: Path) -> str | None:
    """Bring the fleet back; the reason when there is a snapshot but it can't be used."""
    try:
        written, _, body = path.read_bytes().partition(b"\n")
    except FileNotFoundError:
        return None
    try:
        found = json.loads(written)
        if found != header(fleet):
            return f"it was written as {found}, and this is {header(fleet)}"
        with _deep_stack():
            # Our own file, in the project's own folder.
            version, state, backends = pickle.loads(body)  # noqa: S301
    except Exception as error:  # noqa: BLE001 - whatever a damaged pickle raises
        return f"it can't be read: {type(error).__name__}: {error}"
    fleet.version, fleet.state = version, state
    for name, registry in REGISTRIES.items():
        registry[fleet.account][fleet.region] = backends[name]
    _skip_reserved_addresses(fleet)
    return None


def _skip_reserved_addresses(fleet: Fleet) -> None:
    """Moto's subnets begin again at their first address; AWS keeps the first three for itself."""
    for zone in fleet.ec2.subnets.values():
        for subnet in zone.values():
            for _ in range(3):
                next(iter(subnet._subnet_ip_generator))  # noqa: SLF001 - moto's only handle on it


def empty(fleet: Fleet) -> None:
    """Forget everything."""
    for registry in REGISTRIES.values():
        registry[fleet.account].clear()
    fleet.state = type(fleet.state)()

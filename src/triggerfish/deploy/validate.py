"""What CloudFormation would refuse about a template, found before it is sent.

The local cloud accepts a name that is nowhere defined and finds a circle only while it deploys, so
these checks are also what makes a broken template break on the laptop.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, cast

from triggerfish.deploy import limits
from triggerfish.deploy.references import PSEUDO_PARAMETERS, names_in

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOGICAL_ID = re.compile(r"[A-Za-z0-9]{1,255}")


def validate(template: Mapping[str, object]) -> None:
    """Return if `template` holds together.

    Raises:
        ValueError: every reason why not, one a line.

    """
    resources = cast("Mapping[str, Mapping[str, object]]", template["Resources"])
    parameters = cast("Mapping[str, object]", template.get("Parameters", {}))
    outputs = cast("Mapping[str, object]", template.get("Outputs", {}))
    known = {*resources, *parameters, *PSEUDO_PARAMETERS}
    problems = [
        f"{name!r} is no logical id: letters and digits only"
        for name in (*resources, *parameters, *outputs)
        if not _LOGICAL_ID.fullmatch(name)
    ]
    for section, entries in (("Resources", resources), ("Outputs", outputs)):
        for name, entry in entries.items():
            missing = sorted(set(references(entry)) - known)
            problems += [_undefined(f"{section}.{name}", target, known) for target in missing]
    problems += _circles(resources)
    problems += limits.template_problems(
        resources=len(resources),
        parameters=len(parameters),
        outputs=len(outputs),
        size_bytes=len(render(template).encode()),
    )
    if problems:
        raise ValueError("\n".join(problems))


def render(template: Mapping[str, object]) -> str:
    """The template as CloudFormation is given it: compact, always the same."""
    return json.dumps(template, separators=(",", ":"))


def references(value: object) -> Iterator[str]:
    """The names `value` refers to through Ref, Fn::GetAtt, Fn::Sub and DependsOn."""
    match value:
        case {"Ref": str(name)}:
            yield name
        case {"Fn::GetAtt": [str(name), *_]}:
            yield name
        case {"Fn::Sub": str(text)}:
            yield from names_in(text)
        case {"Type": str(), "DependsOn": [*names], **rest}:
            yield from (str(name) for name in names)
            yield from references(rest)
        case Mapping():
            for item in value.values():
                yield from references(item)
        case Sequence() if not isinstance(value, str):
            for item in value:
                yield from references(item)
        case _:
            pass


def _undefined(where: str, name: str, known: set[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    text = f"{where} refers to {name!r}, which is neither a resource nor a parameter"
    return f"{text} (did you mean {close[0]!r}?)" if close else text


def _circles(resources: Mapping[str, Mapping[str, object]]) -> list[str]:
    graph = {
        name: {target for target in references(entry) if target in resources}
        for name, entry in resources.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return [f"resources wait for each other: {' -> '.join(error.args[1])}"]
    return []

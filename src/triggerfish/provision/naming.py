"""Whether names made from templates are valid, and whether two templates can make the same one.

Pure. Used when the config is checked; the function relies on it having been checked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from triggerfish.provision.config import ProvisionGroup
    from triggerfish.templates import Template

_DIGITS = frozenset("0123456789")
_LOWER = frozenset("abcdefghijklmnopqrstuvwxyz")
_HEXADECIMAL = frozenset("0123456789abcdef")
_LABEL = _DIGITS | _LOWER | {"-"}

LARGEST_ELASTIC_NUMBER = 99_999
LONGEST_INSTANCE_ID = "i-0123456789abcdef0"

Step = tuple[frozenset[str], bool]
"""Characters, and whether there may be any number more of them."""


class Located(Protocol):
    @property
    def region(self) -> str: ...


def samples(template: Template, group: ProvisionGroup, where: Located) -> tuple[str, str]:
    """The shortest and the longest text a naming template makes for a group."""
    known = {"group": group.group, "instance": LONGEST_INSTANCE_ID}
    if "az" in template.fields:
        known["az"] = f"{where.region}a"
    largest = group.size or LARGEST_ELASTIC_NUMBER
    return template.render(number=1, **known), template.render(number=largest, **known)


def dns_fault(name: str) -> str | None:
    """What keeps `name` from being a host name in Route 53, in words.

    Lower case only: Route 53 answers in lower case, and names are compared as they are written.
    Source: RFC 1123, and
    https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DomainNameFormat.html.
    """
    if len(name) > 253:
        return f"{len(name)} characters, more than 253"
    for label in name.split("."):
        if not label:
            return "an empty label"
        if len(label) > 63:
            return f"a label of {len(label)} characters, more than 63"
        for character in label:
            if character not in _LABEL:
                return f'a "{character}"' if character.isprintable() else "a control character"
        if label.startswith("-") or label.endswith("-"):
            return "a label that begins or ends with -"
    return None


def tag_value_fault(value: str) -> str | None:
    """What keeps `value` from being an EC2 tag value, in words.

    Source: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html#tag-restrictions.
    """
    if len(value) > 256:
        return f"{len(value)} characters, more than 256"
    if not value.isprintable():
        return "a control character"
    return None


def may_render_the_same(one: Template, one_group: str, other: Template, other_group: str) -> bool:
    """Whether some member of one group and some member of the other would get the same text.

    Numbers, instances and zones count as free, so a `True` may be a clash that never comes; a
    `False` is sure. Walks both patterns at once, character by character.
    """
    left, right = list(_steps(one, one_group)), list(_steps(other, other_group))
    waiting, seen = [(0, 0)], {(0, 0)}
    while waiting:
        here = waiting.pop()
        if here == (len(left), len(right)):
            return True
        for there in _moves(left, right, here):
            if there not in seen:
                seen.add(there)
                waiting.append(there)
    return False


def _moves(left: list[Step], right: list[Step], here: tuple[int, int]) -> Iterator[tuple[int, int]]:
    at, to = here
    if at < len(left) and left[at][1]:
        yield at + 1, to
    if to < len(right) and right[to][1]:
        yield at, to + 1
    if at < len(left) and to < len(right) and left[at][0] & right[to][0]:
        after_left = at if left[at][1] else at + 1
        after_right = to if right[to][1] else to + 1
        yield after_left, after_right


def _steps(template: Template, group: str) -> Iterator[Step]:
    """A repeatable step may also be passed over, so what must be there once stands before it."""
    for part in template.parts:
        if isinstance(part, str):
            yield from ((frozenset(character), False) for character in part)
        elif part.name == "group":
            yield from ((frozenset(character), False) for character in group)
        elif part.name == "instance":
            yield from ((frozenset(character), False) for character in "i-")
            yield from ((_HEXADECIMAL, False), (_HEXADECIMAL, True))
        elif part.name == "number":
            yield from _number_steps(part.width)
        else:
            yield from ((_LABEL, False), (_LABEL, True))


def _number_steps(width: int) -> Iterator[Step]:
    if width:
        yield from ((_DIGITS, False) for _ in range(width))
    else:
        yield _DIGITS - {"0"}, False
    yield _DIGITS, True

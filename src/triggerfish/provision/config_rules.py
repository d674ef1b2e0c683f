"""What the keys of `[[provision]]` and `[jenkins.NAME]` may be together.

Read by `triggerfish.config.load`, never by a function. Each rule reads few keys: where one of them
has a fault of its own, that rule alone is passed over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol, get_args
from urllib.parse import urlsplit

from triggerfish.faults import Fault, did_you_mean, key, one_of, quoted
from triggerfish.provision.naming import dns_fault, may_render_the_same, samples, tag_value_fault

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from triggerfish.faults import KeyPath
    from triggerfish.provision.config import Jenkins, ProvisionGroup
    from triggerfish.templates import Template

RESERVED_PARAMETER = "REQUEST_ID"
RESERVED_TAGS = ("aws:", "triggerfish:")
DNS_NAME = "a DNS name of labels of a-z, 0-9 and -"
MOST_TAGS = 40
"""EC2 allows 50; the rest is for Name, Auto Scaling's own tags and Triggerfish's."""


class ProvisionConfig(Protocol):
    """What these rules read of the whole config."""

    @property
    def region(self) -> str: ...
    @property
    def jenkins(self) -> Mapping[str, Jenkins]: ...
    @property
    def provision(self) -> Sequence[ProvisionGroup]: ...


Naming = Literal["name", "domain"]


def group_rules(config: ProvisionConfig, _stage: str) -> Iterator[Iterable[Fault]]:
    for position, group in enumerate(config.provision):
        path: KeyPath = ("provision", position)
        yield _size_fits_mode(group, path)
        yield _zone_is_a_dns_name(group, path)
        for naming in get_args(Naming):
            yield _is_unique(group, path, naming)
            yield _stays_with_the_number(group, path, naming)
        yield _name_is_a_tag_value(group, path, config)
        yield _domain_is_a_dns_name(group, path, config)
        yield _domain_is_in_zone(group, path)
        yield _tags_are_tags(group, path)
        yield _jenkins_exists(group, path, config)
        yield _jobs_are_paths(group, path)
        yield _parameters_are_free(group, path)
        yield _abandon_has_a_hook(group, path)


def rules_between_groups(config: ProvisionConfig, _stage: str) -> Iterator[Iterable[Fault]]:
    for position, group in enumerate(config.provision):
        for before, earlier in enumerate(config.provision[:position]):
            yield _groups_differ(group, earlier, position, before)
            yield _domains_differ(group, earlier, position, before)


def jenkins_rules(config: ProvisionConfig, _stage: str) -> Iterator[Iterable[Fault]]:
    for name, jenkins in config.jenkins.items():
        yield _url_is_an_address(jenkins, ("jenkins", name))
        yield _vpc_is_whole(jenkins, ("jenkins", name))


RULES = (group_rules, rules_between_groups, jenkins_rules)
"""Each takes the config and the stage, and yields its rules one by one."""


def _size_fits_mode(group: ProvisionGroup, path: KeyPath) -> Iterator[Fault]:
    if group.mode == "stateful" and group.size is None:
        yield Fault((*path, "size"), "no such key", "how many members this stateful group has")
    if group.mode == "elastic" and group.size is not None:
        yield Fault(
            (*path, "size"),
            f"{group.size} in an elastic group",
            "no size",
            'leave it out, or write mode = "stateful"',
        )


def _zone_is_a_dns_name(group: ProvisionGroup, path: KeyPath) -> Iterator[Fault]:
    zone = group.zone
    if zone.endswith(".") and dns_fault(zone[:-1]) is None:
        hint = f"write {quoted(zone[:-1])}"
        yield Fault((*path, "zone"), quoted(zone), "the zone without its final dot", hint)
    elif fault := dns_fault(zone):
        yield Fault((*path, "zone"), f"{quoted(zone)}, which has {fault}", DNS_NAME)


def _template(group: ProvisionGroup, naming: Naming) -> Template:
    return group.name if naming == "name" else group.domain


def _is_unique(group: ProvisionGroup, path: KeyPath, naming: Naming) -> Iterator[Fault]:
    template = _template(group, naming)
    if not template.fields & {"number", "instance"}:
        found = f"{quoted(template.text)}, the same for every member"
        yield Fault((*path, naming), found, "{number} or {instance} in it")


def _stays_with_the_number(group: ProvisionGroup, path: KeyPath, naming: Naming) -> Iterator[Fault]:
    """A stateful replacement takes the dead member's name; its instance and zone are its own."""
    template = _template(group, naming)
    if group.mode != "stateful":
        return
    for field in sorted(template.fields & {"instance", "az"}):
        yield Fault(
            (*path, naming),
            f"{{{field}}} in {quoted(template.text)}",
            "{number} alone",
            "in a stateful group a replacement takes the name of the dead member",
        )


def _name_is_a_tag_value(
    group: ProvisionGroup, path: KeyPath, config: ProvisionConfig
) -> Iterator[Fault]:
    _, longest = samples(group.name, group, config)
    if fault := tag_value_fault(longest):
        yield Fault(
            (*path, "name"),
            f"{quoted(group.name.text)}, which makes {fault}",
            "a tag value of at most 256 printable characters",
        )


def _domain_is_a_dns_name(
    group: ProvisionGroup, path: KeyPath, config: ProvisionConfig
) -> Iterator[Fault]:
    for sample in samples(group.domain, group, config):
        if fault := dns_fault(sample):
            found = f"{quoted(group.domain.text)}, which makes {quoted(sample)} with {fault}"
            hint = None
            if "group" in group.domain.fields and dns_fault(f"{group.group}.example.com"):
                hint = "write a name of your own for {group}"
            yield Fault((*path, "domain"), found, DNS_NAME, hint)
            return


def _domain_is_in_zone(group: ProvisionGroup, path: KeyPath) -> Iterator[Fault]:
    text, zone = group.domain.text, group.zone.removesuffix(".")
    if not text.endswith(f".{zone}"):
        hint = f"write {quoted(f'{text}.{zone}')}" if "." not in text else None
        yield Fault((*path, "domain"), quoted(text), f'a name ending in ".{zone}", its zone', hint)


def _tags_are_tags(group: ProvisionGroup, path: KeyPath) -> Iterator[Fault]:
    for tag, template in group.tags.items():
        where = (*path, "tags", tag)
        if tag.lower().startswith(RESERVED_TAGS):
            reserved = one_of(f'"{prefix}"' for prefix in RESERVED_TAGS)
            yield Fault(
                where, f"the tag {quoted(tag)}", f"a tag that doesn't begin with {reserved}"
            )
        if tag == "Name":
            yield Fault(where, "the tag Name", "`name`, which is that tag", "leave this one out")
        if fault := tag_value_fault(template.text):
            yield Fault(where, fault, "a tag value of at most 256 printable characters")
    if len(group.tags) > MOST_TAGS:
        yield Fault((*path, "tags"), f"{len(group.tags)} tags", f"at most {MOST_TAGS}")


def _jenkins_exists(
    group: ProvisionGroup, path: KeyPath, config: ProvisionConfig
) -> Iterator[Fault]:
    name, known = group.jenkins, config.jenkins
    if name in known:
        return
    wanted = f"the name of a [jenkins.NAME]: {one_of(known)}" if known else "a [jenkins.NAME] table"
    hint = did_you_mean(name, known) or (None if known else f"write [jenkins.{key(name)}]")
    yield Fault((*path, "jenkins"), quoted(name), wanted, hint)


def _jobs_are_paths(group: ProvisionGroup, path: KeyPath) -> Iterator[Fault]:
    for position, job in enumerate(group.jobs):
        where = (*path, "jobs", position)
        parts = job.split("/")
        if "" in parts or "." in parts or ".." in parts or job != job.strip():
            yield Fault(where, quoted(job), 'a job such as "deploy" or "folder/deploy"')
        elif job in group.jobs[:position]:
            yield Fault(where, f"{quoted(job)} a second time", "each job once")


def _parameters_are_free(group: ProvisionGroup, path: KeyPath) -> Iterator[Fault]:
    for name in group.parameters:
        if name.upper() == RESERVED_PARAMETER:
            yield Fault(
                (*path, "parameters", name),
                f"the parameter {name}",
                "another name",
                "Triggerfish sets it, to find a build again",
            )


def _abandon_has_a_hook(group: ProvisionGroup, path: KeyPath) -> Iterator[Fault]:
    if group.on_failure == "abandon" and group.hook is None:
        yield Fault(
            (*path, "on_failure"),
            '"abandon" without a hook',
            '"keep" or "terminate", or a hook',
            "only a lifecycle hook's action can be abandoned",
        )


def _groups_differ(
    group: ProvisionGroup, earlier: ProvisionGroup, position: int, before: int
) -> Iterator[Fault]:
    if group.group == earlier.group:
        found = f"{quoted(group.group)}, as provision[{before}] has it"
        yield Fault(("provision", position, "group"), found, "each group once")


def _domains_differ(
    group: ProvisionGroup, earlier: ProvisionGroup, position: int, before: int
) -> Iterator[Fault]:
    if group.group == earlier.group:
        return
    if may_render_the_same(group.domain, group.group, earlier.domain, earlier.group):
        theirs = quoted(earlier.domain.text)
        yield Fault(
            ("provision", position, "domain"),
            f"{quoted(group.domain.text)}, which can make a name that {theirs} makes too",
            f"names that provision[{before}] never makes",
        )


def _url_is_an_address(jenkins: Jenkins, path: KeyPath) -> Iterator[Fault]:
    """An address with a user in it isn't shown: it holds a password."""
    wanted = 'an address such as "https://jenkins.internal.example.com"'
    where = (*path, "url")
    if "@" in jenkins.url:
        hint = "write them as user and token"
        yield Fault(where, "an address with a user or a password in it", wanted, hint)
        return
    try:
        address = urlsplit(jenkins.url)
        valid = bool(address.hostname) and address.scheme in {"http", "https"} and address.port != 0
    except ValueError:
        valid = False
    if not valid or " " in jenkins.url or address.query or address.fragment:
        yield Fault(where, quoted(jenkins.url), wanted)


def _vpc_is_whole(jenkins: Jenkins, path: KeyPath) -> Iterator[Fault]:
    if bool(jenkins.subnets) != bool(jenkins.security_groups):
        absent = "security_groups" if jenkins.subnets else "subnets"
        yield Fault(
            (*path, absent),
            "none",
            "both subnets and security_groups, or neither",
            "a function in a VPC has both",
        )

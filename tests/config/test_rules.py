"""What keys may be together."""

import pytest

from tests.config.samples import GOOD, JENKINS, SEARCH, TOP, WEB, changed, told

LONG = "a" * 64


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param(
            {"name": 'name = "web"'},
            '11: provision[0].name: found "web", the same for every member, wanted {number} or'
            " {instance} in it",
            id="name for all",
        ),
        pytest.param(
            {"domain": 'domain = "{az}.internal.example.com"'},
            '12: provision[0].domain: found "{az}.internal.example.com", the same for every member,'
            " wanted {number} or {instance} in it",
            id="domain for all",
        ),
        pytest.param(
            {"name": f'name = "{{number}}{"é" * 256}"'},
            f'11: provision[0].name: found "{{number}}{"é" * 51}…", which makes 261 characters,'
            " more than 256, wanted a tag value of at most 256 printable characters",
            id="name too long for a tag",
        ),
        pytest.param(
            {"name": 'name = "{number}\\t"'},
            '11: provision[0].name: found "{number}\\t", which makes a control character, wanted a'
            " tag value of at most 256 printable characters",
            id="control character in a name",
        ),
        pytest.param(
            {"domain": 'domain = "web_{number}.internal.example.com"'},
            '12: provision[0].domain: found "web_{number}.internal.example.com", which makes'
            ' "web_1.internal.example.com" with a "_", wanted a DNS name of labels of a-z, 0-9'
            " and -",
            id="underscore",
        ),
        pytest.param(
            {"group": 'group = "Web"', "domain": 'domain = "{group}{number}.internal.example.com"'},
            '12: provision[0].domain: found "{group}{number}.internal.example.com", which makes'
            ' "Web1.internal.example.com" with a "W", wanted a DNS name of labels of a-z, 0-9 and -'
            " (write a name of your own for {group})",
            id="group that is no label",
        ),
        pytest.param(
            {"domain": f'domain = "{"a" * 60}{{number}}.internal.example.com"'},
            f'12: provision[0].domain: found "{"a" * 59}…", which makes "{"a" * 59}…" with a label'
            " of 65 characters, more than 63, wanted a DNS name of labels of a-z, 0-9 and -",
            id="label too long for a large number",
        ),
        pytest.param(
            {"domain": 'domain = "web..{number}.internal.example.com"'},
            '12: provision[0].domain: found "web..{number}.internal.example.com", which makes'
            ' "web..1.internal.example.com" with an empty label, wanted a DNS name of labels of'
            " a-z, 0-9 and -",
            id="empty label",
        ),
        pytest.param(
            {"domain": 'domain = "web-{number}-.internal.example.com"'},
            '12: provision[0].domain: found "web-{number}-.internal.example.com", which makes'
            ' "web-1-.internal.example.com" with a label that begins or ends with -, wanted a DNS'
            " name of labels of a-z, 0-9 and -",
            id="label ending with a hyphen",
        ),
        pytest.param(
            {"domain": 'domain = "web-{number}"'},
            '12: provision[0].domain: found "web-{number}", wanted a name ending in'
            ' ".internal.example.com", its zone (write "web-{number}.internal.example.com")',
            id="domain without its zone",
        ),
        pytest.param(
            {"domain": 'domain = "web-{number}.example.com"'},
            '12: provision[0].domain: found "web-{number}.example.com", wanted a name ending in'
            ' ".internal.example.com", its zone',
            id="domain in another zone",
        ),
        pytest.param(
            {"zone": 'zone = "internal.example.com."'},
            '13: provision[0].zone: found "internal.example.com.", wanted the zone without its'
            ' final dot (write "internal.example.com")',
            id="final dot",
        ),
        pytest.param(
            {"jenkins": 'jenkins = "man"'},
            '14: provision[0].jenkins: found "man", wanted the name of a [jenkins.NAME]: main'
            " (did you mean main?)",
            id="unknown Jenkins",
        ),
        pytest.param(
            {"jobs": 'jobs = ["deploy", "a/", "deploy"]'},
            [
                (
                    '15: provision[0].jobs[1]: found "a/", wanted a job such as "deploy" or'
                    ' "folder/deploy"'
                ),
                '15: provision[0].jobs[2]: found "deploy" a second time, wanted each job once',
            ],
            id="jobs",
        ),
        pytest.param(
            {"jobs": 'jobs = ["a"]\nparameters = { request_id = "x" }'},
            "16: provision[0].parameters.request_id: found the parameter request_id, wanted another"
            " name (Triggerfish sets it, to find a build again)",
            id="reserved parameter",
        ),
        pytest.param(
            {"jobs": 'jobs = ["a"]\ntags = { Name = "x", "AWS:a" = "x", "triggerfish:a" = "x" }'},
            [
                (
                    "16: provision[0].tags.Name: found the tag Name, wanted `name`, which is"
                    " that tag"
                    " (leave this one out)"
                ),
                (
                    '16: provision[0].tags."AWS:a": found the tag "AWS:a", wanted a tag that'
                    " doesn't"
                    ' begin with "aws:" or "triggerfish:"'
                ),
                (
                    '16: provision[0].tags."triggerfish:a": found the tag "triggerfish:a",'
                    " wanted a tag"
                    ' that doesn\'t begin with "aws:" or "triggerfish:"'
                ),
            ],
            id="reserved tags",
        ),
        pytest.param(
            {"jobs": f'jobs = ["a"]\ntags = {{ a = "{"v" * 257}" }}'},
            "16: provision[0].tags.a: found 257 characters, more than 256, wanted a tag value of at"
            " most 256 printable characters",
            id="tag too long",
        ),
        pytest.param(
            {"jobs": 'jobs = ["a"]\non_failure = "abandon"'},
            '16: provision[0].on_failure: found "abandon" without a hook, wanted "keep" or'
            ' "terminate", or a hook (only a lifecycle hook\'s action can be abandoned)',
            id="abandon without a hook",
        ),
        pytest.param(
            {"jobs": 'jobs = ["a"]\nsize = 3'},
            "16: provision[0].size: found 3 in an elastic group, wanted no size"
            ' (leave it out, or write mode = "stateful")',
            id="size of an elastic group",
        ),
    ],
)
def test_group_follows_the_rules(lines: dict[str, str], expected: str | list[str]) -> None:
    wanted = [expected] if isinstance(expected, str) else expected
    assert told(TOP + JENKINS + changed(WEB, **lines)) == [f"triggerfish.toml:{e}" for e in wanted]


def test_too_many_tags_are_refused() -> None:
    tags = ", ".join(f'a{number} = "x"' for number in range(41))
    assert told(TOP + JENKINS + WEB + f"tags = {{ {tags} }}\n") == [
        "triggerfish.toml:16: provision[0].tags: found 41 tags, wanted at most 40"
    ]


@pytest.mark.parametrize(
    "line",
    [
        'zone = "internal_example.com"',
        f'zone = "{LONG}.com"',
        'zone = ".com"',
        'zone = "Example.com"',
        f'zone = "{".".join(["a" * 60] * 5)}"',
    ],
)
def test_zone_is_a_dns_name(line: str) -> None:
    (first, *_) = [
        each
        for each in told(TOP + JENKINS + changed(WEB, zone=line))
        if "provision[0].zone" in each
    ]
    assert first.endswith("wanted a DNS name of labels of a-z, 0-9 and -")


def test_jenkins_is_wanted_where_there_is_none() -> None:
    assert told(TOP + WEB) == [
        (
            'triggerfish.toml:9: provision[0].jenkins: found "main", wanted a [jenkins.NAME] table'
            " (write [jenkins.main])"
        )
    ]


def test_stateful_group_wants_a_size() -> None:
    assert told(TOP + JENKINS + changed(SEARCH, size=None)) == [
        (
            "triggerfish.toml:9: provision[0].size: found no such key, wanted how many members this"
            " stateful group has"
        )
    ]


@pytest.mark.parametrize("naming", ["name", "domain"])
@pytest.mark.parametrize("field", ["instance", "az"])
def test_stateful_names_stay_with_the_number(naming: str, field: str) -> None:
    """A replacement takes the name of the dead member, but has an instance and a zone of its"
    " own."""
    text = f"s-{{number}}-{{{field}}}.internal.example.com"
    line = {"name": 13, "domain": 14}[naming]
    assert told(TOP + JENKINS + changed(SEARCH, **{naming: f'{naming} = "{text}"'})) == [
        (
            f'triggerfish.toml:{line}: provision[0].{naming}: found {{{field}}} in "{text}", wanted'
            " {number} alone (in a stateful group a replacement takes the name of the dead member)"
        )
    ]


def test_abandon_with_a_hook_is_right() -> None:
    assert told(GOOD + 'hook = "launch"\non_failure = "abandon"\n') == []


def test_group_is_listed_once() -> None:
    assert told(TOP + JENKINS + WEB + WEB) == [
        (
            'triggerfish.toml:18: provision[1].group: found "web", as provision[0] has it,'
            " wanted each"
            " group once"
        )
    ]


def test_groups_never_make_the_same_domain() -> None:
    other = changed(
        WEB, group='group = "shop"', domain='domain = "web-{number}.internal.example.com"'
    )
    assert told(TOP + JENKINS + WEB + other) == [
        (
            "triggerfish.toml:20: provision[1].domain: found"
            ' "web-{number}.internal.example.com", which'
            ' can make a name that "web-{number:02}.internal.example.com" makes too, wanted'
            " names that"
            " provision[0] never makes"
        )
    ]


@pytest.mark.parametrize(
    "url",
    [
        "ftp://jenkins.example.com",
        "jenkins.example.com",
        "https://",
        "https://jenkins.example.com:0",
        "https://jenkins.example.com:99999",
        "https://[::1",
        "https://jenkins.example.com/?a=b",
        "https://jenkins.example.com/#a",
        "https://jenkins.exam ple.com",
    ],
)
def test_url_is_an_address(url: str) -> None:
    assert told(TOP + changed(JENKINS, url=f'url = "{url}"')) == [
        (
            f'triggerfish.toml:5: jenkins.main.url: found "{url}", wanted an address such as'
            ' "https://jenkins.internal.example.com"'
        )
    ]


def test_address_with_a_password_is_refused_unseen() -> None:
    url = "https://triggerfish:hunter2@jenkins.example.com"
    assert told(TOP + changed(JENKINS, url=f'url = "{url}"')) == [
        (
            "triggerfish.toml:5: jenkins.main.url: found an address with a user or a password"
            " in it,"
            ' wanted an address such as "https://jenkins.internal.example.com"'
            " (write them as user and token)"
        )
    ]


@pytest.mark.parametrize(
    ("line", "absent"),
    [
        ('subnets = ["subnet-0a1b2c3d"]', "security_groups"),
        ('security_groups = ["sg-0a1b2c3d"]', "subnets"),
    ],
)
def test_vpc_has_subnets_and_security_groups(line: str, absent: str) -> None:
    assert told(TOP + JENKINS + line + "\n") == [
        (
            f"triggerfish.toml:4: jenkins.main.{absent}: found none, wanted both subnets and"
            " security_groups, or neither (a function in a VPC has both)"
        )
    ]

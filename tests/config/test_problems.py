"""Every problem is told at once: where, found, wanted, and what was probably meant."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.config.samples import GOOD, JENKINS, SEARCH, TOP, WEB, changed, problems_of, told
from triggerfish.errors import Problem


def test_sample_is_right() -> None:
    assert told(GOOD) == []


def test_every_problem_is_told_in_the_order_of_the_file() -> None:
    text = """\
region = "eu-central"
regoin = "eu-central-1"

[functions]
memory = "512"

[jenkins.main]
url = "jenkins"
token = "hunter2"

[[provision]]
group = "web"
name = "web"
domain = "web-{nummber}.internal.example.com"
zone = "internal.example.com"
jenkins = "mian"
jobs = []
timout = "5m"

[[provision]]
mode = "stateful"
group = "web"
name = "web-{number}"
domain = "web-{number}"
zone = "internal.example.com"
jenkins = "main"
jobs = ["deploy"]
attempts = 0
"""
    assert problems_of(text) == (
        Problem(
            file="triggerfish.toml",
            line=0,
            path="name",
            found="no such key",
            wanted="a lower-case letter, then up to 19 of a-z, 0-9 and -",
        ),
        Problem(
            file="triggerfish.toml",
            line=1,
            path="region",
            found='"eu-central"',
            wanted='an AWS region such as "eu-central-1"',
        ),
        Problem(
            file="triggerfish.toml",
            line=2,
            path="regoin",
            found="an unknown key",
            wanted="a key of the top level",
            hint="did you mean region?",
        ),
        Problem(
            file="triggerfish.toml",
            line=5,
            path="functions.memory",
            found='"512"',
            wanted="an integer from 128 to 10240",
            hint="write it without quotes",
        ),
        Problem(
            file="triggerfish.toml",
            line=7,
            path="jenkins.main.user",
            found="no such key",
            wanted="a string that isn't empty",
        ),
        Problem(
            file="triggerfish.toml",
            line=8,
            path="jenkins.main.url",
            found='"jenkins"',
            wanted='an address such as "https://jenkins.internal.example.com"',
        ),
        Problem(
            file="triggerfish.toml",
            line=9,
            path="jenkins.main.token",
            found="a text (not shown): not a secret reference",
            wanted='a reference to a secret: "ssm:/path", "secretsmanager:name#key" or, in the'
            ' local stage, "env:NAME"',
        ),
        Problem(
            file="triggerfish.toml",
            line=13,
            path="provision[0].name",
            found='"web", the same for every member',
            wanted="{number} or {instance} in it",
        ),
        Problem(
            file="triggerfish.toml",
            line=14,
            path="provision[0].domain",
            found='"web-{nummber}.internal.example.com", where {nummber} is no field',
            wanted="a text that may hold {number}, {group}, {instance} or {az}",
            hint="did you mean {number}?",
        ),
        Problem(
            file="triggerfish.toml",
            line=16,
            path="provision[0].jenkins",
            found='"mian"',
            wanted="the name of a [jenkins.NAME]: main",
            hint="did you mean main?",
        ),
        Problem(
            file="triggerfish.toml",
            line=17,
            path="provision[0].jobs",
            found="an empty array",
            wanted="an array of strings, at least one",
        ),
        Problem(
            file="triggerfish.toml",
            line=18,
            path="provision[0].timout",
            found="an unknown key",
            wanted="a key of [[provision]]",
            hint="did you mean timeout?",
        ),
        Problem(
            file="triggerfish.toml",
            line=20,
            path="provision[1].size",
            found="no such key",
            wanted="how many members this stateful group has",
        ),
        Problem(
            file="triggerfish.toml",
            line=22,
            path="provision[1].group",
            found='"web", as provision[0] has it',
            wanted="each group once",
        ),
        Problem(
            file="triggerfish.toml",
            line=24,
            path="provision[1].domain",
            found='"web-{number}"',
            wanted='a name ending in ".internal.example.com", its zone',
            hint='write "web-{number}.internal.example.com"',
        ),
        Problem(
            file="triggerfish.toml",
            line=28,
            path="provision[1].attempts",
            found="the number 0",
            wanted="an integer from 1 to 10",
        ),
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            TOP + "[stage.prod]\nzzz = 1\n",
            "4: stage.prod.zzz: found an unknown key, wanted one of region or account",
            id="unknown key like no other",
        ),
        pytest.param(
            TOP + "[stage.prod]\nRegion = 'eu-west-1'\n",
            "4: stage.prod.Region: found an unknown key, wanted a key of [stage.prod]"
            " (did you mean region?)",
            id="unknown key in another case",
        ),
        pytest.param(
            TOP + "stage = 3\n", "3: stage: found an integer, wanted a table", id="not a table"
        ),
        pytest.param(
            TOP + "functions = []\n", "3: functions: found an array, wanted a table", id="array"
        ),
        pytest.param(
            TOP + "[stage.PROD]\n",
            '3: stage.PROD: found "PROD", wanted a lower-case letter, then up to 19 of a-z, 0-9'
            " and -",
            id="name of a table",
        ),
        pytest.param(
            TOP + "[stage.prod]\naccount = 123456789012\n",
            "4: stage.prod.account: found the number 123456789012, wanted an AWS account of 12"
            ' digits, as "123456789012" (texts need quotes)',
            id="number for a text",
        ),
        pytest.param(
            TOP + "[functions]\nmemory = 127\n",
            "4: functions.memory: found the number 127, wanted an integer from 128 to 10240",
            id="too small",
        ),
        pytest.param(
            TOP + "[functions]\nmemory = 1" + "0" * 30,
            "4: functions.memory: found a huge number, wanted an integer from 128 to 10240",
            id="too large",
        ),
        pytest.param(
            TOP + "[functions]\nmemory = true\n",
            "4: functions.memory: found true, wanted an integer from 128 to 10240",
            id="boolean for a number",
        ),
        pytest.param(
            TOP + "[functions]\nmemory = 256.5\n",
            "4: functions.memory: found the number 256.5, wanted an integer from 128 to 10240",
            id="fraction for a number",
        ),
        pytest.param(
            TOP + "[functions]\nmemory = 2026-01-01\n",
            "4: functions.memory: found a date or time, wanted an integer from 128 to 10240",
            id="date for a number",
        ),
        pytest.param(
            TOP + "[functions]\narchitecture = 'arm'\n",
            '4: functions.architecture: found "arm", wanted "arm64" or "x86_64"'
            " (did you mean arm64?)",
            id="not one of the choices",
        ),
        pytest.param(
            TOP + "[functions]\narchitecture = 64\n",
            '4: functions.architecture: found the number 64, wanted "arm64" or "x86_64"',
            id="not even a text",
        ),
        pytest.param(
            TOP + "[provision]\ngroup = 'web'\n",
            "3: provision: found a table, wanted an array of tables"
            " (write [[provision]] above each)",
            id="one bracket too few",
        ),
        pytest.param(
            TOP + "provision = ['web']\n",
            "3: provision[0]: found a string, wanted a table",
            id="array of texts",
        ),
        pytest.param(
            TOP + "provision = 'web'\n",
            "3: provision: found a string, wanted an array of tables",
            id="text for tables",
        ),
        pytest.param(
            TOP + JENKINS + changed(WEB, jobs='jobs = "deploy"'),
            '15: provision[0].jobs: found "deploy", wanted an array of strings (write ["deploy"])',
            id="text for texts",
        ),
        pytest.param(
            TOP + JENKINS + changed(WEB, jobs='jobs = ["deploy", 3]'),
            "15: provision[0].jobs[1]: found the number 3, wanted a string that isn't empty"
            " (texts need quotes)",
            id="number among texts",
        ),
        pytest.param(
            TOP + JENKINS + changed(WEB, jobs='jobs = [\n  "deploy",\n  "",\n]'),
            "17: provision[0].jobs[1]: found an empty text, wanted a string that isn't empty",
            id="empty text among texts",
        ),
        pytest.param(
            GOOD + 'tags = { "a\\nb" = "x" }\n',
            '26: provision[1].tags."a\\nb": found "a\\nb", wanted a string that isn\'t empty'
            " without control characters",
            id="control character",
        ),
        pytest.param(
            GOOD + f'tags = {{ {"k" * 129} = "x" }}\n',
            f"26: provision[1].tags.{'k' * 129}: found 129 characters, wanted at most 128"
            " characters",
            id="too long",
        ),
        pytest.param(
            GOOD + "tags = { a = 3 }\n",
            "26: provision[1].tags.a: found the number 3, wanted a text that may hold {number},"
            " {group}, {instance}, {az}, {name}, {domain} or {address}",
            id="number for a template",
        ),
        pytest.param(
            GOOD + "tags = []\n",
            "26: provision[1].tags: found an array, wanted a table",
            id="array for tags",
        ),
        pytest.param(
            GOOD + "timeout = 30\n",
            "26: provision[1].timeout: found the number 30, wanted a duration from 1m to 2d,"
            ' written as "90s", "30m", "2h" or "1d"',
            id="number for a duration",
        ),
        pytest.param(
            GOOD + "timeout = '59s'\n",
            '26: provision[1].timeout: found "59s", wanted a duration from 1m to 2d, written as'
            ' "90s", "30m", "2h" or "1d"',
            id="duration too short",
        ),
        pytest.param(
            GOOD + "ttl = '2 days'\n",
            '26: provision[1].ttl: found "2 days", where a number and one of s, m, h, d are wanted,'
            ' wanted a duration from 1s to 1d, written as "90s", "30m", "2h" or "1d"',
            id="no duration",
        ),
        pytest.param(
            TOP + "[functions]\nruntime = '" + "p" * 80 + "'\n",
            f'4: functions.runtime: found "{"p" * 59}…", wanted "python3.11", "python3.12",'
            ' "python3.13" or "python3.14"',
            id="long text is cut",
        ),
    ],
)
def test_problem_is_told_in_words(text: str, expected: str) -> None:
    assert told(text) == [f"triggerfish.toml:{expected}"]


def test_one_typo_is_one_problem() -> None:
    """A required key under a wrong name isn't also told as missing."""
    text = TOP + JENKINS + changed(WEB, domain='domian = "web-{number}.internal.example.com"')
    assert told(text) == [
        (
            "triggerfish.toml:12: provision[0].domian: found an unknown key, wanted a key of"
            " [[provision]] (did you mean domain?)"
        )
    ]


def test_rules_between_keys_run_beside_problems_of_keys() -> None:
    """A group with a fault of its own is still compared with the others."""
    text = GOOD + "timeout = 5\n" + WEB + "ttl = 5\n"
    assert [(problem.line, problem.path) for problem in problems_of(text)] == [
        (26, "provision[1].timeout"),
        (29, "provision[2].group"),
        (35, "provision[2].ttl"),
    ]


def test_rule_that_needs_a_wrong_key_is_passed_over() -> None:
    text = TOP + "jenkins = 3\n" + WEB + changed(SEARCH, mode="mode = 1", size=None)
    assert [problem.path for problem in problems_of(text)] == ["jenkins", "provision[1].mode"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            'name = "shop"\nregion = eu\n',
            "2: column 10: found a syntax error, invalid value, wanted TOML"
            ' (texts need quotes, as in key = "text")',
            id="no quotes",
        ),
        pytest.param(
            "name = 'shop'\nname = 'x'\n",
            "2: column 11: found a syntax error, cannot overwrite a value, wanted TOML"
            " (it is written twice)",
            id="key twice",
        ),
        pytest.param(
            "[jenkins.a]\n[jenkins.a]\n",
            "2: column 11: found a syntax error, cannot declare ('jenkins', 'a') twice, wanted TOML"
            " (it is written twice)",
            id="table twice",
        ),
        pytest.param(
            "name = [\n  1,\n",
            "2: the end: found a syntax error, invalid value, wanted TOML (a bracket or quote"
            " is never"
            " closed)",
            id="never closed",
        ),
        pytest.param(
            "name = " + "[" * 5000,
            ": the file: found arrays or tables too deep in each other, wanted TOML",
            id="too deep",
        ),
        pytest.param(
            "name = " + "1" * 5000,
            ": the file: found a number of thousands of digits, wanted TOML",
            id="too many digits",
        ),
    ],
)
def test_syntax_error_is_told_with_line_and_column(text: str, expected: str) -> None:
    assert told(text) == [f"triggerfish.toml{'' if expected[0] == ':' else ':'}{expected}"]


@pytest.mark.parametrize(
    ("stage", "expected"),
    [
        ("prd", "7: stage.prd: found no such stage, wanted local or prod (did you mean prod?)"),
        (
            "test",
            (
                "7: stage.test: found no such stage, wanted local or prod"
                " (write [stage.test] to have it)"
            ),
        ),
    ],
)
def test_stage_must_be_in_the_file(stage: str, expected: str) -> None:
    text = TOP + "\n\n\n\n[stage.prod]\n"
    assert told(text, stage) == [f"triggerfish.toml:{expected}"]
    assert told(text, "prod") == []


@given(
    st.dictionaries(
        st.sampled_from(["name", "region", "functions", "stage", "jenkins", "provision", "x"]),
        st.recursive(
            st.one_of(
                st.integers(), st.booleans(), st.floats(), st.text(max_size=8), st.datetimes()
            ),
            lambda inner: st.one_of(
                st.lists(inner, max_size=3),
                st.dictionaries(
                    st.sampled_from(
                        [
                            "main",
                            "url",
                            "token",
                            "group",
                            "name",
                            "domain",
                            "mode",
                            "size",
                            "jenkins",
                            "jobs",
                            "tags",
                            "ttl",
                            "memory",
                        ]
                    ),
                    inner,
                    max_size=5,
                ),
            ),
            max_leaves=12,
        ),
    )
)
def test_any_document_is_a_config_or_a_config_error(document: dict[str, object]) -> None:
    """Whatever is written, what comes out is a model or words: never another exception."""
    assert all(problem.found and problem.wanted for problem in problems_of(_written(document)))


def _written(document: dict[str, object]) -> str:
    return "".join(f"{key} = {_value(value)}\n" for key, value in document.items())


def _value(value: object) -> str:
    match value:
        case dict():
            return "{" + ", ".join(f"{key} = {_value(each)}" for key, each in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(_value, value)) + "]"
        case bool():
            return str(value).lower()
        case str():
            return '"{}"'.format(
                "".join(f"\\U{ord(each):08X}" for each in value if each < "\ud800")
            )
        case _:
            return str(value)

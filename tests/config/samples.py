"""A config that is right, and ways to make it wrong."""

from triggerfish.config.load import parse
from triggerfish.errors import ConfigError, Problem

TOP = """\
name = "shop"
region = "eu-central-1"
"""

JENKINS = """
[jenkins.main]
url = "https://jenkins.internal.example.com"
user = "triggerfish"
token = "ssm:/shop/jenkins-token"
"""

WEB = """
[[provision]]
group = "web"
name = "web-{number:02}"
domain = "web-{number:02}.internal.example.com"
zone = "internal.example.com"
jenkins = "main"
jobs = ["infra/provision", "app/deploy"]
"""

SEARCH = """
[[provision]]
group = "search"
mode = "stateful"
size = 3
name = "search-{number}"
domain = "search-{number}.internal.example.com"
zone = "internal.example.com"
jenkins = "main"
jobs = ["infra/search"]
"""

GOOD = TOP + JENKINS + WEB + SEARCH


def problems_of(text: str, stage: str = "local") -> tuple[Problem, ...]:
    """The problems of a config; none when it's right."""
    try:
        parse(text, stage)
    except ConfigError as error:
        return error.problems
    return ()


def told(text: str, stage: str = "local") -> list[str]:
    """The problems as one line each."""
    return [str(problem) for problem in problems_of(text, stage)]


def changed(text: str, **lines: str | None) -> str:
    """`text` with the line of each key replaced by another (None: left out)."""
    return "".join(
        line
        if (new := lines.get(line.split(" = ")[0], line)) == line
        else f"{new}\n"
        if new
        else ""
        for line in text.splitlines(keepends=True)
    )

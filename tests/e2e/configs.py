"""Configs of the tests: groups that don't touch each other, so that tests can share one cloud."""

from __future__ import annotations

HEAD = """
name = "shop"
region = "eu-central-1"
"""


def jenkins(name: str) -> str:
    return f"""
[jenkins.{name}]
url = "https://{name}.jenkins.invalid"
user = "triggerfish"
token = "ssm:/shop/{name}-token"
"""


def group(name: str, *, jenkins: str = "main", jobs: int = 1, more: str = "") -> str:
    """A group whose jobs are its own; `more` are further keys."""
    names = ", ".join(f'"{name}/job-{number}"' for number in range(1, jobs + 1))
    return f"""
[[provision]]
group = "{name}"
name = "{name}-{{number:02}}"
domain = "{name}-{{number:02}}.internal.example.com"
zone = "internal.example.com"
jenkins = "{jenkins}"
jobs = [{names}]
{more}
"""

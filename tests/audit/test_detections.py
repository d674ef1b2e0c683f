"""The 25 detections do what their cases say, and the page about them is up to date."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from triggerfish.audit.rule_cases import failures
from triggerfish.audit.rule_files import BUILT_IN, Case, CaseFinding, built_in, load
from triggerfish.audit.rule_reference import updated

if TYPE_CHECKING:
    from triggerfish.audit.rule_files import RuleFile

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "detections.md"
CASES = [(rule, case) for rule in built_in() for case in rule.case]


@pytest.mark.parametrize(("rule", "case"), CASES, ids=[f"{r.id}: {c.name}" for r, c in CASES])
def test_case(rule: RuleFile, case: Case) -> None:
    assert list(failures(replace(rule, case=(case,)))) == []


def test_there_are_25_each_in_a_file_of_its_name() -> None:
    assert len(built_in()) == 25
    assert {path.stem for path in BUILT_IN.glob("*.toml")} == {rule.id for rule in built_in()}


@pytest.mark.parametrize("rule", built_in(), ids=lambda rule: rule.id)
def test_detection_is_complete(rule: RuleFile) -> None:
    assert len(rule.case) >= 1
    assert any(case.findings for case in rule.case)
    assert all(re.fullmatch(r"\d+(\.\d+)+", each) for each in rule.controls.pci)
    assert all(re.fullmatch(r"\d+\.\d+", each) for each in rule.controls.cis)
    assert all(re.fullmatch(r"[A-Z]{2}-\d+(\(\d+\))?", each) for each in rule.controls.nist)
    assert rule.controls.pci
    assert rule.controls.cis
    assert rule.controls.nist


def test_a_case_that_is_wrong_is_told() -> None:
    rule = next(each for each in built_in() if each.id == "failed-login")
    wrong = CaseFinding(user="carol", facts={"Authentication": "IAM"})
    case = replace(rule.case[0], findings=(wrong,))
    assert list(failures(replace(rule, case=(case, replace(case, findings=()))))) == [
        (
            "a wrong password is told with account and address: finding 1:"
            " user is 'bob', where 'carol' is wanted"
        ),
        (
            "a wrong password is told with account and address: finding 1:"
            " fact 'Authentication' is 'password', where 'IAM' is wanted"
        ),
        "a wrong password is told with account and address: 1 findings, where 0 are wanted",
    ]


def test_page_is_up_to_date() -> None:
    """If not: python -m triggerfish.audit.rule_reference docs/reference/detections.md."""
    page = PAGE.read_text("utf-8")
    assert page == updated(page)


def test_rule_on_the_page_is_right() -> None:
    example = PAGE.read_text("utf-8").split("```toml\n")[2].partition("```")[0]
    (rule,) = load({"contractor-login.toml": example})
    assert list(failures(rule)) == []

from __future__ import annotations

from typing import get_args

import msgspec
import pytest

from triggerfish.audit import records
from triggerfish.audit.parse import problem
from triggerfish.audit.records import ActivityRecord, Finding, ProblemKind

RECORD = ActivityRecord(
    at=None, database="dev", user="ana", pid=1, user_id=2, xid=3, statement="select 1",
    verified=True, file="f", offset=0,
)  # fmt: skip


def test_records_do_not_change() -> None:
    with pytest.raises(AttributeError):
        RECORD.user = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    "each", [records.ConnectionRecord, records.UserRecord, ActivityRecord, Finding]
)
def test_fields_are_given_by_name(each: type[msgspec.Struct]) -> None:
    assert each.__struct_config__.kw_only if hasattr(each.__struct_config__, "kw_only") else True
    with pytest.raises(TypeError):
        each("positional")


def test_finding_survives_json() -> None:
    finding = Finding(
        rule="r", severity="high", title="t", at=None, cluster="c", database="d", user="u",
        actor="", source="", application="", statement="s", file="f", offset=7, key="k",
        facts=(("a", "b"),),
    )  # fmt: skip
    assert msgspec.json.decode(msgspec.json.encode(finding), type=Finding) == finding


@pytest.mark.parametrize("kind", get_args(ProblemKind))
def test_sample_of_a_problem_is_safe_to_print_and_short(kind: ProblemKind) -> None:
    sample = problem(kind, "f", 0, b"\x1b[2J\r\n\xff<\xe2\x80\xae>" + b"x" * 300).sample
    assert sample.startswith("\\x1b[2J\\r\\n\\xff<\\xe2\\x80\\xae>xxx")
    assert len(sample) == 200

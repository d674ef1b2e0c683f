"""The evidence of a week."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from tests.audit.test_store import make_found
from tests.audit.world import BUCKET, key_of
from triggerfish.audit import report
from triggerfish.audit.entries import Entry, ObjectKey, Totals
from triggerfish.audit.rule_files import built_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from triggerfish.audit.entries import Found

RULES = tuple(each.rule() for each in built_in() if each.id in {"failed-login", "brute-force"})
MONDAY = date(2026, 11, 16)
MADE = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)


def entry(at: datetime, kind: str = "connection", **changes: object) -> Entry:
    values: dict[str, object] = {
        "cluster": "shop",
        "object": ObjectKey(bucket=BUCKET, key=key_of(at=f"{at:%Y-%m-%dT%H:%M}"), etag="e"),
        "kind": kind,
        "at": at,
        "status": "read",
        "read_at": MADE,
        "totals": Totals(records=10, bytes=1000),
        **changes,
    }
    return Entry(**values)  # type: ignore[arg-type]


def week(*absent: int) -> list[Entry]:
    """A connection log each hour of the week, but for some."""
    start = datetime(2026, 11, 16, 0, 53, tzinfo=UTC)
    return [entry(start + timedelta(hours=hour)) for hour in range(168) if hour not in absent]


def build(
    entries: Sequence[Entry] = (),
    *,
    known: frozenset[str] = frozenset({"shop"}),
    missing: Sequence[tuple[str, str, str]] = (),
    found: Sequence[Found] = (),
) -> report.Report:
    evidence = report.Evidence(entries=entries, known_before=known, missing=missing, found=found)
    until = MONDAY + timedelta(days=7)
    return report.build("shop-prod", MONDAY, until, evidence, RULES, made_at=MADE)


def test_a_quiet_week_says_so() -> None:
    made = build(week())
    assert report.title(made) == "Audit review 2026-11-16 to 2026-11-22: all quiet, all logs read"
    assert report.text(made) == (
        "Audit review 2026-11-16 to 2026-11-22: all quiet, all logs read\n"
        "Stack shop-prod, made 2026-11-23T06:00:00.000Z.\n"
        "\n"
        "Cluster shop\n"
        "  connection 168 of 168 files, 1,680 records, 168,000 bytes\n"
        "  no gap in the hours\n"
        "\n"
        "Findings by rule\n"
        "  Quiet: brute-force, failed-login\n"
        "\n"
        "Findings by control\n"
        "  Quiet: CIS 13.1, CIS 8.11, CIS 8.5, NIST AC-7, NIST AU-2, NIST SI-4, PCI DSS 10.2.1.4,"
        " PCI DSS 8.3.4"
    )


def test_hours_without_a_connection_log_are_gaps_and_files_that_were_expected() -> None:
    made = build(week(5, 6, 167))
    (cluster,) = made.clusters
    assert cluster.gaps == (
        datetime(2026, 11, 16, 5, tzinfo=UTC),
        datetime(2026, 11, 16, 6, tzinfo=UTC),
        datetime(2026, 11, 22, 23, tzinfo=UTC),
    )
    assert (cluster.kinds[0].files_read, cluster.kinds[0].files_expected) == (165, 168)
    assert report.title(made).endswith("not all logs were there or could be read")


def test_a_cluster_that_began_in_the_week_has_no_gap_before() -> None:
    assert build(week(*range(100)), known=frozenset()).clusters[0].gaps == ()


def test_a_cluster_that_fell_silent_is_in_the_report() -> None:
    (cluster,) = build([]).clusters
    assert (cluster.cluster, len(cluster.gaps)) == ("shop", 168)


def test_the_days_that_are_not_over_have_no_gap_yet() -> None:
    evidence = report.Evidence(
        entries=week(*range(100, 168)), known_before=frozenset({"shop"}), missing=(), found=()
    )
    made = report.build(
        "shop-prod",
        MONDAY,
        MONDAY + timedelta(days=7),
        evidence,
        RULES,
        made_at=datetime(2026, 11, 20, 5, 30, tzinfo=UTC),
    )
    assert made.clusters[0].gaps == ()


def test_what_was_not_read_is_listed_with_its_reason() -> None:
    unread = entry(datetime(2026, 11, 16, 5, 53, tzinfo=UTC), status="unread", reason="gone")
    made = build([*week(5), unread], missing=[("shop", "user", "a/userlog.gz")])
    assert [(each.file, each.reason) for each in made.unread] == [
        (unread.object.key, "gone"),
        ("a/userlog.gz", "it was not read yet"),
    ]
    kinds = made.clusters[0].kinds
    assert [(each.kind, each.files_read, each.files_expected) for each in kinds] == [
        ("connection", 167, 167),
        ("user", 0, 1),
    ]


def test_files_that_no_event_announced_are_counted() -> None:
    late = entry(datetime(2026, 11, 16, 0, 53, tzinfo=UTC), announced=False)
    (cluster,) = build([*week(0), late]).clusters
    assert cluster.kinds[0].unannounced == 1


def test_findings_are_counted_by_rule_and_by_control() -> None:
    found = [make_found(offset=1), make_found(offset=2), make_found(rule="brute-force", offset=3)]
    made = build(week(), found=found)
    assert [(each.rule, each.matters) for each in made.rules] == [
        ("failed-login", 2),
        ("brute-force", 1),
    ]
    pci = {each.control: each.matters for each in made.controls}
    assert (pci["PCI DSS 10.2.1.4"], pci["PCI DSS 8.3.4"]) == (3, 1)
    assert report.title(made).endswith("3 findings, all logs read")


def test_a_rule_that_is_no_rule_any_more_is_counted_too() -> None:
    made = build(week(), found=[make_found(rule="unread-file", title="Not read")])
    assert made.rules[0].rule == "unread-file"


def test_a_report_as_data_says_whether_it_is_complete() -> None:
    data = report.report_data(build(week(5)))
    assert data["complete"] is False
    assert data["clusters"] == [
        {
            "cluster": "shop",
            "logs": [
                {
                    "kind": "connection",
                    "files_read": 167,
                    "files_expected": 168,
                    "unannounced": 0,
                    "records": 1670,
                    "bytes": 167000,
                    "problems": 0,
                }
            ],
            "gaps": ["2026-11-16T05:00:00.000Z"],
        }
    ]


def test_a_report_is_due_on_its_day_at_six() -> None:
    monday = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
    assert report.due(monday, 0) == date(2026, 11, 23)
    assert report.due(monday - timedelta(seconds=1), 0) == date(2026, 11, 16)
    assert report.due(monday + timedelta(days=6, hours=23), 0) == date(2026, 11, 23)
    assert report.due(monday, 4) == date(2026, 11, 20)


def test_long_lists_are_cut_and_say_so() -> None:
    lines = report.text(build(week(*range(40)))).splitlines()
    assert "  40 hours without a connection log:" in lines
    assert "    and 10 more" in lines

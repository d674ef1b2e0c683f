"""The rules over one log, as runs use them: names, limits and state of the trigger's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from triggerfish.audit.entries import Totals
from triggerfish.audit.evaluate import RuleSet, RuleState
from triggerfish.audit.logfile import log_file
from triggerfish.audit.reading import Reading
from triggerfish.audit.records import FileContext
from triggerfish.audit.scan import Options, scan
from triggerfish.audit.trail import calls_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from triggerfish.audit.config import AuditSettings
    from triggerfish.audit.reading import Memory, Part
    from triggerfish.audit.records import Finding, LogFile
    from triggerfish.audit.rules import Rule
    from triggerfish.audit.s3 import ObjectReader


class RedshiftEngine:
    """Fulfils `reading.Engine` with the rules in force."""

    def __init__(self, settings: AuditSettings) -> None:
        self._rules = RuleSet(settings.rules, settings.audit)

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules in force."""
        return self._rules.rules

    def file(self, key: str) -> LogFile:
        return log_file(key)

    def remember(self, data: bytes) -> RuleState:
        return self._rules.new_state(data)

    def scan(self, reader: ObjectReader, name: str, memory: Memory, part: Part) -> Reading:
        options = Options(resume_at=part.offset, keep_going=part.keep_going)
        report = scan(reader, name, self._rules, state=_state(memory), options=options)
        context = FileContext(cluster=report.file.cluster, file=name)
        unread = self._rules.unread(report.problems, context, report.problem_counts)
        return Reading(
            totals=Totals(
                records=report.records,
                bytes=report.bytes,
                problems=sum(report.problem_counts.values()),
                findings=len(report.findings) + len(unread),
            ),
            findings=(*report.findings, *unread),
            stopped_at=report.resume_at,
        )

    def wanted(self, memory: Memory, cluster: str) -> frozenset[str]:
        """The kinds of log that may complete what was found."""
        completing = self._rules.completing(_state(memory), cluster)
        return frozenset(kind for kind in ("connection", "activity") if completing.prefilter(kind))

    def search(
        self, reader: ObjectReader, name: str, memory: Memory, part: Part
    ) -> Sequence[Finding]:
        """Search a log for what completes findings, and for nothing else."""
        state, file = _state(memory), log_file(name)
        completing = self._rules.completing(state, file.cluster)
        options = Options(keep_going=part.keep_going)
        return scan(reader, name, completing, state=state, options=options).findings

    def calls(self, event: object, name: str) -> list[Finding]:
        """What CloudTrail's records of calls show: whether somebody touched the auditing itself."""
        state = self._rules.new_state()
        return [
            finding
            for call in calls_in(event, name)
            for finding in self._rules.evaluate(
                call, state, FileContext(cluster=call.cluster, file=name)
            )
        ]


def _state(memory: Memory) -> RuleState:
    if not isinstance(memory, RuleState):
        raise TypeError(f"{type(memory).__name__} is no state of these rules")
    return memory

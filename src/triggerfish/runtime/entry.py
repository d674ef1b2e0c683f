"""Where errors become outcomes: the one broad catch, and the one mapping of error types.

Every failure ends as a retry by whoever woke us or as a dead letter; nothing is swallowed.

    ============  ==========================  =================================================
    error         a record of a batch         a whole invocation
    ============  ==========================  =================================================
    Unavailable   comes again                 raised: Lambda, SQS or Scheduler tries again
    InputError,   dead-lettered with the      dead-lettered with the reason where the handler
    Refused       reason, acknowledged        has dead letters; else raised, so that Lambda's
                                              own retries and dead letters keep it
    any other     comes again; on its 5th     raised
                  receive dead-lettered
    ============  ==========================  =================================================
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar

from triggerfish.errors import ConfigError, Error, InputError, Refused, Unavailable
from triggerfish.runtime import log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from triggerfish.runtime.envelopes import SqsRecord

    DeadLetter: TypeAlias = Callable[[SqsRecord, str], None]
    BatchResponse: TypeAlias = dict[str, list[dict[str, str]]]

K = TypeVar("K")

MAX_RECEIVES = 5
"""How often a record may meet an error nobody foresaw."""
MARGIN_MS = 5_000
"""No group of records is begun with less time than this: a timeout would repeat the whole batch."""


class LambdaContext(Protocol):
    aws_request_id: str

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda stops the function."""


def lambda_handler(
    trigger: str,
    handle: Callable[[object, LambdaContext], object],
    *,
    dead_letter: Callable[[object, str], None] | None = None,
) -> Callable[[object, LambdaContext], object]:
    """Wrap a handler with logging and the mapping above.

    `dead_letter` takes the whole event and the reason (`DeadLetters.send_event`). What it took
    counts as handled and returns `{"error": {"type", "message"}}`.
    """

    def handler(event: object, context: LambdaContext) -> object:
        log.configure(trigger, request_id=context.aws_request_id)
        try:
            return handle(event, context)
        except (InputError, Refused) as error:
            log.error("the event can't be handled", error=error)
            if dead_letter is None:
                raise
            dead_letter(event, str(error))
            return {"error": {"type": type(error).__name__, "message": str(error)}}
        except Unavailable as error:
            log.warning("not now: the event comes again", error=error)
            raise
        except Exception as error:
            log.error("the handler failed", error=error)
            raise

    return handler


def grouped_batch(
    records: Sequence[SqsRecord],
    *,
    key: Callable[[SqsRecord], K | None],
    run: Callable[[K, Sequence[SqsRecord]], None],
    dead_letter: DeadLetter,
    remaining_ms: Callable[[], int] | None = None,
    margin_ms: int = MARGIN_MS,
) -> BatchResponse:
    """Handle a batch group by group, by first appearance, and say which records must come again.

    `key` says what a record is about, None that there is nothing to do. With `remaining_ms` (the
    context's `get_remaining_time_in_millis`) groups that can't be begun in time come again.
    """
    batch = _Batch(dead_letter)
    groups: dict[K, list[SqsRecord]] = {}
    for record in records:
        found = batch.attempt([record], partial(key, record))
        if found is not None:
            groups.setdefault(found, []).append(record)
    for found, members in groups.items():
        if remaining_ms is not None and remaining_ms() < margin_ms:
            log.warning("no time left for a group: it comes again", records=len(members))
            batch.fail(members)
        else:
            batch.attempt(members, partial(run, found, members))
    return batch.response(records)


class _Batch:
    def __init__(self, dead_letter: DeadLetter) -> None:
        self._dead_letter = dead_letter
        self._failed: set[str] = set()

    def attempt(self, records: Sequence[SqsRecord], work: Callable[[], K]) -> K | None:
        try:
            return work()
        except (InputError, Refused) as error:
            log.warning("records can't be handled", error=error, records=len(records))
            self._bury(records, str(error))
        except Unavailable as error:
            log.warning("records come again", error=error, records=len(records))
            self.fail(records)
        except Exception as error:  # noqa: BLE001 - the broad catch: one group must not fail another
            log.error("an error nobody foresaw", error=error, records=len(records))
            spent = [record for record in records if record.receive_count >= MAX_RECEIVES]
            self._bury(spent, f"{type(error).__name__}: {error}")
            self.fail([record for record in records if record.receive_count < MAX_RECEIVES])
        return None

    def fail(self, records: Iterable[SqsRecord]) -> None:
        self._failed.update(record.message_id for record in records)

    def _bury(self, records: Sequence[SqsRecord], reason: str) -> None:
        for record in records:
            try:
                self._dead_letter(record, reason)
            except Exception as error:  # noqa: BLE001 - not kept, so not acknowledged
                log.error("a dead letter could not be written", error=error)
                self.fail([record])

    def response(self, records: Sequence[SqsRecord]) -> BatchResponse:
        failed = [record.message_id for record in records if record.message_id in self._failed]
        return {"batchItemFailures": [{"itemIdentifier": each} for each in failed]}


def run_each(names: Iterable[str], run: Callable[[str], None]) -> dict[str, str]:
    """Run once for each name, whatever happens to the others; gives the failed, with the reason.

    For a sweep that comes again by itself: what failed is logged and tried by the next one.
    """
    failed: dict[str, str] = {}
    for name in names:
        try:
            run(name)
        except Exception as error:  # noqa: BLE001 - the broad catch: one must not fail another
            log.error("one of a sweep failed", name=name, error=error)
            failed[name] = (
                error.message if isinstance(error, Error) else f"{type(error).__name__}: {error}"
            )
    return failed


def exit_code(error: BaseException) -> int:
    """0 is done; 1 failed or refused, 2 usage or config, 3 unavailable: try later."""
    if isinstance(error, ConfigError):
        return 2
    return 3 if isinstance(error, Unavailable) else 1

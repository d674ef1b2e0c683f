"""What reaches people, and when: the outbox with fake channels, on a clock that stands still."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tests.notices.world import World, make_channel, make_notice, make_settings
from triggerfish.errors import Refused, Unavailable
from triggerfish.notices import deliver
from triggerfish.notices.store import OUTBOX
from triggerfish.runtime.lease import Lease

if TYPE_CHECKING:
    import pytest

    from triggerfish.notices.deliver import Outgoing

ONE = "[high] A login to shop failed"


# --- first at once, then digests ---------------------------------------------------------------


def test_the_first_of_a_key_goes_out_at_once() -> None:
    world = World()
    world.tell(make_notice())
    assert world.subjects() == [ONE]
    assert (world.waiting(), world.parcels(), world.again_s) == (0, 0, None)


def test_repeats_within_the_window_become_one_message() -> None:
    world = World()
    world.tell(make_notice())
    for _ in range(5):
        world.advance(60)
        world.tell(make_notice())
    assert world.subjects() == [ONE]
    assert world.again_s == 3600 - 300
    world.advance(3300)
    world.run()
    assert world.subjects() == [ONE, f"Re: {ONE}"]
    assert (
        "Happened 5 times since the last message of 2026-11-24 12:00:00 UTC;"
        " first 2026-11-24 12:01:00 UTC, last 2026-11-24 12:05:00 UTC; 6 in all"
    ) in world.sent[-1].text


def test_after_a_quiet_window_the_next_goes_out_at_once() -> None:
    world = World()
    world.tell(make_notice())
    world.advance(3600)
    world.tell(make_notice())
    assert len(world.sent) == 2


def test_there_is_one_digest_a_window_however_long_it_goes_on() -> None:
    world = World()
    for _ in range(6 * 60):
        world.tell(make_notice())
        world.advance(60)
    assert len(world.sent) == 6


def test_other_keys_do_not_wait_for_each_other() -> None:
    world = World()
    world.tell(make_notice(key="a"), make_notice(key="b"))
    assert len(world.sent) == 2


def test_critical_never_waits() -> None:
    world = World()
    world.tell(make_notice())
    for _ in range(3):
        world.tell(make_notice(severity="critical"))
    assert len(world.sent) == 4


def test_a_critical_notice_takes_along_what_waits() -> None:
    world = World()
    world.tell(make_notice())
    world.tell(make_notice())
    world.tell(make_notice(severity="critical"))
    assert "Happened 2 times" in world.sent[-1].text
    assert world.waiting() == 0


def test_a_new_incident_has_a_thread_of_its_own() -> None:
    world = World()
    for hour in (1, 1, 2):
        start = datetime(2026, 11, 24, hour, tzinfo=UTC)
        world.tell(make_notice(incident_start=start))
    assert world.subjects() == [ONE, ONE]
    assert world.sent[0].outgoing.thread != world.sent[1].outgoing.thread


def test_a_thread_names_its_first_and_its_last_mail() -> None:
    world = World()
    for _ in range(4):
        world.tell(make_notice())
        world.advance(3600)
    assert [sent.outgoing.mail_ids for sent in world.sent] == [
        (),
        ("<1@example.net>",),
        ("<1@example.net>", "<2@example.net>"),
        ("<1@example.net>", "<3@example.net>"),
    ]
    assert [sent.outgoing.number for sent in world.sent] == [0, 1, 2, 3]
    assert len({sent.outgoing.thread for sent in world.sent}) == 1


# --- once --------------------------------------------------------------------------------------


def test_a_message_that_comes_twice_is_told_once() -> None:
    world = World(make_settings())
    notice = make_notice(severity="critical")
    world.store.keep(notice, "m-1", 0)
    world.run()
    assert not world.store.keep(notice, "m-1", 0)
    world.run()
    assert len(world.sent) == 1


def test_a_notice_that_is_handed_over_twice_under_one_id_is_told_once() -> None:
    world = World()
    notice = make_notice(severity="critical", id="file-1:17")
    world.tell(notice)
    world.tell(notice)
    assert len(world.sent) == 1
    world.tell(make_notice(severity="critical", id="file-1:18"))
    assert len(world.sent) == 2


def test_what_comes_while_a_message_is_sent_is_not_taken_for_told() -> None:
    world = World()
    took = world.channels["mail"].send

    def send(outgoing: Outgoing) -> str:
        for number in range(20):  # within one millisecond their order is anybody's guess
            world.store.keep(make_notice(title=f"Late {number}"), f"late-{number}", 0)
        return took(outgoing)

    world.channels["mail"].send = send  # type: ignore[method-assign]
    world.tell(make_notice())
    assert (len(world.sent), world.waiting()) == (1, 20)


# --- the limit ---------------------------------------------------------------------------------


def test_beyond_the_limit_notices_are_held_and_told_together_with_a_line() -> None:
    world = World(make_settings(limit=3))
    for number in range(8):
        world.tell(make_notice(key=f"key-{number}", title=f"Title {number}"))
    assert [sent.subject for sent in world.sent] == [
        "[high] Title 0",
        "[high] Title 1",
        "[high] Title 2",
    ]
    assert world.waiting() == 5
    assert world.again_s == 3600
    world.advance(3600)
    world.run()
    assert world.waiting() == 0
    late = world.sent[3:]
    assert len(late) <= 3
    told = "".join(sent.text for sent in late)
    assert all(f"[high] Title {number}\n" in told for number in range(3, 8))
    assert (
        "The limit of 3 messages an hour held 3 notices back since 2026-11-24 12:00:00 UTC;"
        " told here."
    ) in late[-1].text


def test_a_storm_keeps_to_the_limit_and_loses_nothing() -> None:
    world = World(make_settings(limit=4))
    for number in range(300):
        world.tell(make_notice(key=f"key-{number}"))
        world.advance(30)
    world.settle(2 * 3600)
    assert world.waiting() == 0
    times = [sent.at_s for sent in world.sent]
    assert all(sum(0 <= at - start < 3600 for at in times) <= 4 for start in times)
    keys = {f"Key: key-{number}\n" for number in range(300)}
    texts = "".join(sent.text for sent in world.sent)
    in_full = {key for key in keys if key in texts}
    in_short = sum(text.count("\n[high] A login") for text in (s.text for s in world.sent))
    assert len(in_full) + in_short >= 300


def test_a_critical_notice_says_how_many_are_held_back() -> None:
    world = World(make_settings(limit=2))
    world.tell(*(make_notice(key=f"key-{number}") for number in range(2)))
    world.tell(make_notice(key="key-2"), make_notice(key="key-2"))
    world.tell(make_notice(key="key-3", severity="critical"))
    assert (
        "The limit of 2 messages an hour holds 2 notices back; to be told when the hour has room."
    ) in world.sent[-1].text


def test_what_no_longer_fits_is_refused_and_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("triggerfish.notices.store.MOST_WAITING", 3)
    world = World()
    world.tell(make_notice())
    world.tell(*[make_notice()] * 5)
    assert world.waiting() == 3
    assert world.refused == ["3 notices of this matter wait to be told already"] * 2


# --- channels that fail ------------------------------------------------------------------------

CHANNELS = (make_channel("slack", severity="critical"), make_channel("pager", severity="critical"))


def test_a_refused_mail_is_tried_again_then_the_next_channel_gets_it() -> None:
    world = World(make_settings(channels=CHANNELS))
    world.channels["mail"].always = Refused("MessageRejected: Email address is not verified")
    world.tell(make_notice())
    assert (world.sent, world.again_s) == ([], 5)
    world.advance(5)
    world.run()
    assert (world.sent, world.again_s) == ([], 20)
    world.advance(20)
    world.run()
    assert [sent.channel for sent in world.sent] == ["slack"]
    assert (
        "The channel mail did not take this message: MessageRejected: Email address is not verified"
    ) in world.sent[0].text
    assert (world.waiting(), world.parcels(), world.dead) == (0, 0, [])


def test_a_mail_that_fails_once_is_not_given_to_another_channel() -> None:
    world = World(make_settings(channels=CHANNELS))
    world.channels["mail"].faults = [Unavailable("throttled")]
    world.tell(make_notice())
    world.advance(5)
    world.run()
    assert [sent.channel for sent in world.sent] == ["mail"]


def test_what_no_channel_takes_is_a_dead_letter_with_every_reason() -> None:
    world = World(make_settings(channels=CHANNELS))
    for side in world.channels.values():
        side.always = Refused(f"{side.name} says no")
    world.tell(make_notice(title="Lost?"))
    world.settle(600, every=5)
    assert [(notice.title, reason) for notice, reason in world.dead] == [
        ("Lost?", "mail: mail says no; slack: slack says no; pager: pager says no")
    ]
    assert (world.waiting(), world.parcels()) == (0, 0)


def test_a_dead_letter_that_is_replayed_is_told() -> None:
    world = World()
    world.channels["mail"].always = Refused("no")
    world.tell(make_notice(id="one"))
    world.settle(600, every=5)
    world.channels["mail"].always = None
    ((notice, _),) = world.dead
    world.tell(notice)
    assert len(world.sent) == 1


def test_one_channel_that_fails_does_not_repeat_the_others() -> None:
    world = World(make_settings(channels=CHANNELS))
    world.channels["pager"].always = Unavailable("down")
    world.tell(make_notice(severity="critical"))
    world.settle(600, every=5)
    assert [sent.channel for sent in world.sent] == ["mail", "slack"]
    assert world.dead == []


def test_critical_news_does_not_wait_behind_a_message_on_its_way() -> None:
    world = World()
    world.channels["mail"].faults = [Unavailable("down")] * 3
    world.tell(make_notice())
    world.channels["mail"].faults = []
    world.tell(make_notice(severity="critical", title="Worse"))
    assert world.subjects() == ["[critical] Worse"]
    world.advance(5)
    world.run()
    assert len(world.sent) == 2
    assert (world.waiting(), world.parcels()) == (0, 0)


def test_news_behind_a_message_on_its_way_does_not_wake_us_at_once() -> None:
    world = World()
    world.channels["mail"].always = Unavailable("down")
    world.tell(make_notice())
    world.tell(make_notice())
    assert world.again_s == 5


def test_an_error_nobody_foresaw_is_a_failure_of_that_channel() -> None:
    world = World(make_settings(channels=CHANNELS))

    def explode(_: object) -> str:
        raise ZeroDivisionError

    world.channels["mail"].send = explode  # type: ignore[method-assign, assignment]
    world.tell(make_notice())
    world.settle(60, every=5)
    assert [sent.channel for sent in world.sent] == ["slack"]
    assert "an error nobody foresaw, ZeroDivisionError" in world.sent[0].text


def test_a_message_that_can_not_be_composed_is_sent_bare(monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(*_: object, **__: object) -> None:
        raise ValueError

    monkeypatch.setattr(deliver, "compose", explode)
    world = World()
    world.tell(make_notice())
    assert world.subjects() == ["[high] 1 notices that could not be shown"]
    assert world.waiting() == 0


def test_a_channel_that_left_the_config_is_replaced() -> None:
    world = World(make_settings(channels=CHANNELS))
    world.channels["mail"].always = Refused("no")
    world.tell(make_notice())
    del world.channels["mail"]
    world.settle(60, every=5)
    assert [sent.channel for sent in world.sent] == ["slack"]


# --- one run at a time -------------------------------------------------------------------------


def test_a_second_run_leaves_the_sending_to_the_first() -> None:
    world = World()
    lease = Lease(world.table, OUTBOX, "other", world.clock)
    assert lease.take()
    world.tell(make_notice())
    assert (world.sent, world.waiting(), world.queue) == ([], 1, {})
    assert not lease.end()  # it was asked to look again
    lease.abandon()
    world.run()
    assert len(world.sent) == 1

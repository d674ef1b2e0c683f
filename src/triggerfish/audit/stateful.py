"""What the rules remember of accounts and logins, and what they conclude. Event time, pure.

Files arrive late, twice and out of order, so nothing here asks what time it is: a moment is
compared with other moments of the log. Everything is bounded and survives as JSON. Whoever floods
it with names or addresses can make it forget, never quietly: names that never logged in are
forgotten first, and forgetting what is still counted is itself a finding.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from typing import NamedTuple

from msgspec import Struct, field

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
LATENESS_MS = 26 * HOUR_MS
"""Redshift may deliver a file a day late: times are kept that much longer than windows are."""
MOST_TIMES = 256
"""Times kept of one account or address; thresholds above it are refused when rules load."""
MOST_USERS = 64
MOST_FAILED = 4_000
MOST_ACCOUNTS = 5_000
MOST_NETWORKS = 32
MOST_HOSTS = 16
MOST_ADDRESSES = 5_000
MOST_CHANGES = 8
MOST_COUNTED = 2_000
MOST_EPISODES = 8
MOST_SAVED = 60_000


class Times(Struct, kw_only=True):
    """When something happened, sorted; and what was told of it, as first and last moment."""

    at: list[int] = []
    told: dict[str, list[list[int]]] = {}

    def add(self, at: int, *, keep_ms: int) -> None:
        insort(self.at, at)
        if len(self.at) > MOST_TIMES or self.at[0] < self.at[-1] - keep_ms:
            oldest = max(len(self.at) - MOST_TIMES, bisect_left(self.at, self.at[-1] - keep_ms))
            del self.at[:oldest]

    def crowd(self, at: int, threshold: int, window_ms: int) -> tuple[int, int] | None:
        """First and last of `threshold` times within the window, `at` among them."""
        times = self.at
        if len(times) < threshold:
            return None
        place = bisect_left(times, at)
        for first in range(max(0, place - threshold + 1), place + 1):
            last = first + threshold - 1
            if last < len(times) and times[last] - times[first] <= window_ms:
                return times[first], times[last]
        return None

    def count(self, begin: int, end: int) -> int:
        return bisect_right(self.at, end) - bisect_left(self.at, begin)

    def is_news(self, rule: str, first: int, last: int, window_ms: int) -> bool:
        """Whether this is none of the episodes that were told; those that it touches grow."""
        episodes = self.told.setdefault(rule, [])
        touched = [e for e in episodes if first <= e[1] + window_ms and last >= e[0] - window_ms]
        for episode in touched:
            episode[0], episode[1] = min(first, episode[0]), max(last, episode[1])
        if touched:
            return False
        episodes.append([first, last])
        del episodes[:-MOST_EPISODES]
        return True


class Failed(Times, kw_only=True):
    """Failed logins of one account or from one address, and of which accounts from there."""

    users: dict[str, int] = {}
    hot_until: int = 0
    """Until when a login is one after a burst."""


class Account(Struct, kw_only=True):
    """An account that has logged in: since when it is known, its last login, and from where."""

    since: int
    last: int
    networks: dict[str, int] = {}
    hosts: dict[str, int] = {}
    """The first login of the latest day from an address: a late file may hold a burst before it."""


class Flags(Struct, array_like=True):
    at: int
    superuser: bool
    create_db: bool
    catalog_update: bool
    dropped: bool = False


class Memory(Struct, kw_only=True):
    """What is remembered of one cluster."""

    failed: dict[str, Failed] = {}
    accounts: dict[str, Account] = {}
    logins: dict[str, dict[str, int]] = {}
    """By address, which accounts logged in from there: as `Account.hosts`, the other way round."""
    changes: dict[str, list[Flags]] = {}
    """What the user log said of an account, by time."""
    counted: dict[str, Times] = {}
    flooded_at: int = 0
    """When what is still counted was last forgotten."""
    newest: int = field(default=0)


def add_failure(
    memory: Memory, user: str, host: str, at: int, keep_ms: int
) -> tuple[Failed, Failed, bool]:
    """Count a failed login; what is counted of the account and the address now.

    Also whether something was forgotten that was still counted.
    """
    memory.newest = max(memory.newest, at)
    by_user = _entry(memory.failed, f"user {user}")
    by_user.add(at, keep_ms=keep_ms)
    by_host = _entry(memory.failed, f"host {host}")
    by_host.add(at, keep_ms=keep_ms)
    users = by_host.users
    users[user] = max(at, users.get(user, at))
    if len(users) > MOST_USERS:
        del users[min(users, key=users.__getitem__)]
    flooded = len(memory.failed) > MOST_FAILED and _forget_failed(memory, keep_ms)
    return by_user, by_host, flooded


def _entry(failed: dict[str, Failed], key: str) -> Failed:
    found = failed.get(key)
    if found is None:
        found = failed[key] = Failed()
    return found


def _forget_failed(memory: Memory, keep_ms: int) -> bool:
    """A tenth goes: what is too old, then names without an account, then what failed least."""

    def worth(item: tuple[str, Failed]) -> tuple[bool, bool, int, int]:
        key, failed = item
        fresh = failed.at[-1] >= memory.newest - keep_ms
        known = key.removeprefix("user ") in memory.accounts
        return fresh, known, len(failed.at), failed.at[-1]

    ranked = sorted(memory.failed.items(), key=worth)
    gone = ranked[: max(1, MOST_FAILED // 10)]
    for key, _ in gone:
        del memory.failed[key]
    return worth(gone[-1])[0]


def spread(failed: Failed, at: int, window_ms: int) -> tuple[int, int, int]:
    """How many accounts failed from an address around `at`, the first moment and the last."""
    near = [each for each in failed.users.values() if abs(each - at) <= window_ms]
    return len(near), min(near), max(near)


class Before(NamedTuple):
    """What was known of an account before a login."""

    since: int
    last: int
    is_new_network: bool


def add_login(memory: Memory, user: str, host: str, network: str, at: int) -> Before | None:
    """Remember a login; what was known of the account before it, None if nothing."""
    memory.newest = max(memory.newest, at)
    account = memory.accounts.get(user)
    if account is None:
        _make_room(memory)
        account = memory.accounts[user] = Account(since=at, last=at, networks={network: at})
        _add_host(memory, account, user, host, at)
        return None
    first = account.networks.get(network)
    before = Before(account.since, account.last, first is None)
    account.since = min(account.since, at)
    account.last = max(account.last, at)
    if first is None or at < first:
        _remember(account.networks, network, at, MOST_NETWORKS)
    _add_host(memory, account, user, host, at)
    return before


def _add_host(memory: Memory, account: Account, user: str, host: str, at: int) -> None:
    hosts = account.hosts
    seen = hosts.get(host)
    if seen is None or at // DAY_MS > seen // DAY_MS or seen - DAY_MS < at < seen:
        _remember(hosts, host, at, MOST_HOSTS)
        _remember(memory.logins.setdefault(host, {}), user, at, MOST_USERS)
        if len(memory.logins) > MOST_ADDRESSES:
            for old in list(memory.logins)[: MOST_ADDRESSES // 10]:
                del memory.logins[old]


def _remember(kept: dict[str, int], name: str, at: int, most: int) -> None:
    kept.pop(name, None)
    kept[name] = at
    if len(kept) > most:
        del kept[next(iter(kept))]


def _make_room(memory: Memory) -> None:
    """Accounts are made by administrators, so there are few; still."""
    if len(memory.accounts) >= MOST_ACCOUNTS:
        by_last = sorted(memory.accounts, key=lambda user: memory.accounts[user].last)
        for user in by_last[: MOST_ACCOUNTS // 10]:
            del memory.accounts[user]


def flags_before(memory: Memory, user: str, at: int) -> Flags | None:
    """The account's flags just before `at`, as far as the user log told them."""
    before = [flags for flags in memory.changes.get(user, ()) if flags.at < at]
    return before[-1] if before else None


def was_dropped(memory: Memory, user: str, at: int) -> bool:
    before = flags_before(memory, user, at)
    return before is not None and before.dropped


def add_change(memory: Memory, user: str, flags: Flags) -> None:
    memory.newest = max(memory.newest, flags.at)
    changes = memory.changes.setdefault(user, [])
    if flags not in changes:
        insort(changes, flags, key=lambda each: each.at)
        del changes[:-MOST_CHANGES]
    if len(memory.changes) > MOST_ACCOUNTS:
        by_last = sorted(memory.changes, key=lambda name: memory.changes[name][-1].at)
        for name in by_last[: MOST_ACCOUNTS // 10]:
            del memory.changes[name]


def count(memory: Memory, key: str, at: int, keep_ms: int) -> Times:
    """Count what a rule counts under `key`."""
    memory.newest = max(memory.newest, at)
    times = memory.counted.pop(key, None) or Times()
    memory.counted[key] = times
    times.add(at, keep_ms=keep_ms)
    if len(memory.counted) > MOST_COUNTED:
        # Transactions count one key each and soon end; the longest untouched goes first.
        for old in list(memory.counted)[: MOST_COUNTED // 10]:
            del memory.counted[old]
    return times


def shrink(memory: Memory) -> None:
    """Keep a state that is written after each file within a megabyte or so."""
    if sum(len(each.at) + len(each.users) for each in memory.failed.values()) > MOST_SAVED:
        for each in memory.failed.values():
            del each.at[:-32]

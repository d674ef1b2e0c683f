"""How fast the audit trigger reads logs, beside what else could search them.

    python bench/audit.py [--rounds N] [--megabytes N] [--only ROW,...] [--keep FOLDER]

The logs come from a seeded generator. Connection log: a quarter of the rows are logins, of which
1 % fail, over 5,000 pairs of user and private address; then come the other rows of those sessions,
and a quarter are the cluster's own `[local]` heartbeats; a session's rows share port, pid and id.
Activity log: 30 % one-line statements, the rest SELECTs of about 12 lines, and 1 statement in 1,400
that concerns a rule; 200 sessions at a time.

A row is a fresh process: interpreter, imports, decoding the rules as a function does, compiling
them, and the file. `one core`: pinned to it. MB/s are uncompressed bytes over the median of
interleaved rounds; `best` is the fastest round, nearer to what an idle machine gives; `CPU` are
bytes over processor time.
"""

# ruff: noqa: PLC0415  each row imports what it needs: imports are part of the figures

from __future__ import annotations

import argparse
import gzip
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

SEED = 20260302
BEGIN = datetime(2026, 3, 2, tzinfo=UTC)
TYPICAL_GZ_BYTES = 17_000
MOST_MEMORY_MB = 64
CONNECTION_WORDS = "authentication failure|awsuser"
ACTIVITY_WORDS = (
    "(drop|create|alter) user|grant |revoke |truncate|unload|drop table|aws_secret_access_key"
)
WORDS = {"connection": CONNECTION_WORDS, "activity": ACTIVITY_WORDS}
SMALL = """
import time
began = time.process_time()
import {sdk}
sdk = time.process_time()
import triggerfish.audit.scan, triggerfish.audit.evaluate
print((time.process_time() - sdk) * 1000)
"""


# ---- the logs ----


def moment(ms: int) -> str:
    at = BEGIN + timedelta(milliseconds=ms)
    return f"{at:%a}, {at.day} {at:%b %Y %H:%M:%S}:{ms % 1000:03d}"


def connection_lines(rnd: random.Random) -> Iterator[str]:
    users = [f"user_{number:04d}" for number in range(1200)]
    drivers = ("Amazon Redshift JDBC Driver 2.1.0.29", "psycopg2 2.9.9", "Redshift Python 2.1.3")
    systems = ("Linux 5.10.219-208.866.amzn2.x86_64 amd64", "Windows 10 10.0 amd64")
    programs = ("Tableau", "dbt", "DBeaver 24.1", "etl-nightly", "looker", "")
    pairs = [
        (rnd.choice(users), f"::ffff:10.20.{rnd.randrange(256)}.{rnd.randrange(1, 255)}",
         rnd.choice(programs), rnd.choice(systems), rnd.choice(drivers))
        for _ in range(5000)
    ]  # fmt: skip
    ms = 0
    while True:
        ms += rnd.randrange(1500)
        session = uuid.UUID(int=rnd.getrandbits(128))
        pid, port = rnd.randrange(1073741824, 1073840000), rnd.randrange(1024, 65536)
        user, host, program, system, driver = rnd.choice(pairs)
        middle = f"{host} |{port} |{pid}|prod |{user} |password |"
        tls = "|TLSv1.3 |TLS_AES_256_GCM_SHA384 |0| | | |"
        end = f"{system} |{driver} |none |0|{session}\n"
        if rnd.random() < 0.01:
            yield f"authentication failure |{moment(ms)}|{middle}0{tls} |{end}"
            continue
        yield f"authenticated |{moment(ms)}|{middle}0{tls} |{end}"
        yield f"initiating session |{moment(ms + 1)}|{middle}0{tls} |{end}"
        duration = rnd.randrange(1, 10**8)
        yield f"disconnecting session |{moment(ms + 900)}|{middle}{duration}{tls}{program} |{end}"
        yield (
            f"{rnd.choice(('authenticated', 'initiating session', 'disconnecting session'))} "
            f"|{moment(ms + 950)}|[local] | |{pid + 7}|dev |rdsdb |Ident |0| | |0| | | | | | | "
            f"|0|{uuid.UUID(int=rnd.getrandbits(128))}\n"
        )


TABLES = tuple(
    f"{schema}.{table}"
    for schema in ("sales", "web", "ops")
    for table in ("orders", "events", "sessions", "customers", "stock", "daily_totals")
)
COLUMNS = ("order_id", "customer_id", "amount", "created_at", "status", "region", "sku", "channel",
           "updated_at", "device", "price", "quantity")  # fmt: skip
SHORT = ("SET statement_timeout TO 120000", "SET client_encoding TO 'UTF8'", "begin", "commit",
         "select 1", "SET query_group TO 'etl'")  # fmt: skip
RARE = (
    "DROP USER bob",
    "CREATE USER eve PASSWORD '***'",
    "ALTER USER eve CREATEUSER",
    "GRANT ALL ON ALL TABLES IN SCHEMA finance TO PUBLIC",
    "UNLOAD ('select * from finance.cards') TO 's3://elsewhere/x' IAM_ROLE 'arn:aws:iam::1:role/x'",
    "DROP/**/USER mallory",
    "drop table finance.cards cascade",
    "truncate finance.ledger",
)


def select(rnd: random.Random) -> str:
    columns = rnd.sample(COLUMNS, rnd.randrange(3, 9))
    listed = ",\n       ".join(f"a.{column}" for column in columns)
    lines = (
        f"select {listed}",
        f"  from {rnd.choice(TABLES)} a",
        f"  join {rnd.choice(TABLES)} b",
        f"    on a.{columns[0]} = b.{columns[1]} -- {rnd.randrange(10**6)}",
        f" where a.created_at >= '2026-0{rnd.randrange(1, 10)}-01'",
        "   and a.status in ('open', 'paid', 'sent')",
        f" group by {columns[0]}",
        f" order by {rnd.randrange(1, 4)}",
        f" limit {rnd.randrange(1, 5000)};",
    )
    return "\n".join(lines)


def activity_lines(rnd: random.Random) -> Iterator[str]:
    users = [f"user_{number:04d}" for number in range(300)]

    def session() -> str:
        pid, user_id = rnd.randrange(1073741824, 1073840000), rnd.randrange(100, 400)
        return f"user={rnd.choice(users)} pid={pid} userid={user_id}"

    sessions = [session() for _ in range(200)]
    seconds = 0.0
    while True:
        seconds += rnd.random() * 0.3
        if rnd.random() < 0.02:
            sessions[rnd.randrange(len(sessions))] = session()
        kind = rnd.random()
        sql = rnd.choice(RARE) if kind < 1 / 1400 else rnd.choice(SHORT)
        if kind >= 0.3:
            sql = select(rnd)
        at = BEGIN + timedelta(seconds=int(seconds))
        yield (
            f"'{at:%Y-%m-%dT%H:%M:%S}Z UTC [ db=prod {rnd.choice(sessions)} "
            f"xid={rnd.randrange(10**6, 10**8)} ]' LOG: {sql}\n"
        )


GENERATORS: dict[str, Callable[[random.Random], Iterator[str]]] = {
    "connection": connection_lines,
    "activity": activity_lines,
}


def write_log(kind: str, size: str, path: str) -> None:
    """The log, gz; prints its uncompressed bytes."""
    parts, written = [], 0
    for line in GENERATORS[kind](random.Random(SEED)):  # noqa: S311  a fixed sequence is the point
        parts.append(line)
        written += len(line)
        if written >= int(size):
            break
    Path(path).write_bytes(gzip.compress("".join(parts).encode(), 6, mtime=0))
    print(written)


def write_rules(path: str) -> None:
    """The built-in rules as deploying bakes them."""
    from triggerfish.audit.rule_files import built_in
    from triggerfish.codec import encode

    Path(path).write_bytes(encode([each.rule() for each in built_in()]))


def made(*what: str) -> str:
    """Made in a process of its own: a child's peak memory begins with its parent's."""
    me = str(Path(__file__).resolve())
    command = [sys.executable, me, "--child", *what]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


# ---- what is measured ----


def ours(kind: str, path: str, rules_file: str, *flags: str) -> None:
    """The engine and the built-in rules, as a function has them."""
    from msgspec import structs

    from triggerfish.audit.config import Audit
    from triggerfish.audit.evaluate import RuleSet
    from triggerfish.audit.rules import Rule, record_rules_only
    from triggerfish.audit.scan import Options, scan
    from triggerfish.audit.stream import STANDARD
    from triggerfish.codec import decode

    if "parallel" not in flags:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    rules = decode(Path(rules_file).read_bytes(), tuple[Rule, ...])
    if "stateful" not in flags:
        rules = record_rules_only(rules)
    rule_set = RuleSet(rules, Audit())
    standard = "standard" in flags
    options = Options(
        kind="connection" if kind == "connection" else "activity",
        parallel="parallel" in flags,
        use_hyperscan=False if standard else None,
        inflate=STANDARD if standard else None,
    )
    state, found = rule_set.new_state(), 0
    resume_at: int | None = 0
    while resume_at is not None:
        again = structs.replace(options, resume_at=resume_at)
        with Path(path).open("rb") as source:
            report = scan(source, path, rule_set, state=state, options=again)
        found += len(report.findings)
        resume_at = report.resume_at
    print(found)


def inflate_only(_kind: str, path: str) -> None:
    from triggerfish.audit.stream import Stream

    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with Path(path).open("rb") as source:
        print(sum(map(len, Stream(source))))


def line_loop(kind: str, path: str) -> None:
    """What most functions for such logs do: a line, a caseless expression."""
    import re

    search = re.compile(WORDS[kind].encode(), re.IGNORECASE).search
    with gzip.open(path) as lines:
        print(sum(1 for line in lines if search(line)))


def parse_loop(kind: str, path: str) -> None:
    """A line, its fields and its time."""
    found = 0
    with gzip.open(path, "rt", encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if kind == "connection":
                fields = [each.strip() for each in line.split("|")]
                datetime.strptime(fields[1], "%a, %d %b %Y %H:%M:%S:%f").replace(tzinfo=UTC)
                found += fields[0] == "authentication failure"
            elif line.startswith("'"):
                datetime.strptime(line[1:21], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
                statement = line.partition(" LOG: ")[2].lower()
                found += any(word in statement for word in ("drop user", "create user", "grant "))
    print(found)


def polars_filter(kind: str, path: str) -> None:
    import polars as pl

    frame = pl.read_csv(
        path, separator="\x01", has_header=False, quote_char=None, new_columns=["line"],
        encoding="utf8-lossy",
    )  # fmt: skip
    print(frame.filter(pl.col("line").str.contains(f"(?i){WORDS[kind]}")).height)


def duckdb_filter(kind: str, path: str) -> None:
    import duckdb

    found = duckdb.execute(
        "select count(*) from read_csv(?, delim = chr(1), quote = '', escape = '', header = false, "
        "columns = {'line': 'VARCHAR'}, auto_detect = false) where regexp_matches(line, ?, 'i')",
        [path, WORDS[kind]],
    ).fetchone()
    print(found)


CHILDREN: dict[str, Callable[..., None]] = {
    "write-log": write_log,
    "write-rules": write_rules,
    "ours": ours,
    "inflate": inflate_only,
    "line": line_loop,
    "parse": parse_loop,
    "polars": polars_filter,
    "duckdb": duckdb_filter,
}


@dataclass(slots=True)
class Row:
    name: str
    command: Callable[[str, str], list[str]]
    least: dict[str, int] = field(default_factory=dict)
    slow: bool = False
    wall_s: dict[str, list[float]] = field(default_factory=dict)
    cpu_s: dict[str, list[float]] = field(default_factory=dict)
    memory_mb: float = 0


def child(name: str, *more: str) -> Callable[[str, str], list[str]]:
    me = str(Path(__file__).resolve())
    return lambda kind, path: [sys.executable, me, "--child", name, kind, path, *more]


def shell(text: str) -> Callable[[str, str], list[str]]:
    return lambda kind, path: ["sh", "-c", text, "sh", path, WORDS[kind]]


def rows(rules: str) -> list[Row]:
    found = [
        Row("ours: record rules, one core", child("ours", rules),
            {"connection": 700, "activity": 600}),
        Row("ours: record rules, two cores", child("ours", rules, "parallel"),
            {"connection": 1000, "activity": 900}),
        Row("ours: all rules, one core", child("ours", rules, "stateful"),
            {"connection": 400, "activity": 500}),
        Row("ours: all rules, two cores", child("ours", rules, "stateful", "parallel")),
        Row("ours: record rules, stdlib only", child("ours", rules, "standard")),
        Row("ours: decompression only", child("inflate")),
        Row("zcat | wc -l", shell('zcat "$1" | wc -l')),
        Row("zgrep -ciE", shell('zgrep -ciE "$2" "$1"')),
        Row("Python loop: line, expression", child("line"), slow=True),
        Row("Python loop: line, fields, time", child("parse"), slow=True),
    ]  # fmt: skip
    if which("rg"):
        found.append(Row("rg -z -ci", shell('rg -z -ci "$2" "$1"')))
    found += [
        Row(f"{name}: read_csv, filter", child(name))
        for name in ("polars", "duckdb")
        if find_spec(name)
    ]
    return found


def run(row: Row, kind: str, path: str) -> None:
    began = time.perf_counter()
    with subprocess.Popen(row.command(kind, path), stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - began
    if process.returncode not in {0, 1}:  # 1: grep found nothing
        raise SystemExit(f"{row.name}: exit {process.returncode}")
    row.wall_s.setdefault(kind, []).append(wall)
    row.cpu_s.setdefault(kind, []).append(usage.ru_utime + usage.ru_stime)
    row.memory_mb = max(row.memory_mb, usage.ru_maxrss / 1024)


# ---- what is shown ----


def show(found: Sequence[Row], kind: str, megabytes: float) -> None:
    base = next(row for row in found if row.name.startswith("zcat"))
    loop = next(row for row in found if "fields, time" in row.name)

    def speed(row: Row) -> float:
        return megabytes / statistics.median(row.wall_s[kind])

    print(f"\n{kind} log, {megabytes:.0f} MB; medians of {len(base.wall_s[kind])} rounds")
    print(f"{'':<34}{'MB/s':>7}{'best':>7}{'CPU':>7}{'x zcat':>8}{'x loop':>8}{'peak MB':>9}")
    for row in sorted(found, key=speed, reverse=True):
        least = row.least.get(kind)
        verdict = ""
        if least:
            verdict = f"  {'reaches' if speed(row) >= least else 'BELOW'} {least}"
        print(
            f"{row.name:<34}{speed(row):>7.0f}{megabytes / min(row.wall_s[kind]):>7.0f}"
            f"{megabytes / min(row.cpu_s[kind]):>7.0f}{speed(row) / speed(base):>8.1f}"
            f"{speed(row) / speed(loop):>8.1f}{row.memory_mb:>9.0f}{verdict}"
        )
    for row in found:
        if row.name.startswith("ours") and row.memory_mb > MOST_MEMORY_MB:
            print(f"{row.name}: OVER {MOST_MEMORY_MB} MB of memory")


def show_large(folder: Path, logs: dict[str, tuple[Path, int]], rules: str) -> None:
    """Memory with ten times the size: members one after the other, as files are joined."""
    for kind, (path, size) in logs.items():
        large = folder / f"large-{kind}.gz"
        with large.open("wb") as target:
            for _ in range(10):
                target.write(path.read_bytes())
        row = Row("large", child("ours", rules, "stateful", "parallel"))
        run(row, kind, str(large))
        large.unlink()
        print(f"{kind} log of {size * 10 / 1e9:.1f} GB: peak {row.memory_mb:.0f} MB")


def small(kind: str, path: str, rules_file: str) -> None:
    """A typical file, again and again in one process: milliseconds of CPU, the first and then."""
    from triggerfish.audit.config import Audit
    from triggerfish.audit.evaluate import RuleSet
    from triggerfish.audit.rules import Rule
    from triggerfish.audit.scan import Options, scan
    from triggerfish.codec import decode

    rule_set = RuleSet(decode(Path(rules_file).read_bytes(), tuple[Rule, ...]), Audit())
    options = Options(kind="connection" if kind == "connection" else "activity")
    samples = []
    for _ in range(30):
        began = time.process_time()
        with Path(path).open("rb") as source:
            scan(source, path, rule_set, state=rule_set.new_state(), options=options)
        samples.append((time.process_time() - began) * 1000)
    print(f"first {samples[0]:.1f} ms, then {statistics.median(samples):.1f} ms of CPU")


def show_small(folder: Path, rules: str) -> None:
    for kind in GENERATORS:
        path = folder / f"small-{kind}.gz"
        size = int(made("write-log", kind, "130000", str(path)))
        figures = made("small", kind, str(path), rules).strip()
        packed = path.stat().st_size / 1e3
        print(f"{kind} log of {packed:.0f} KB gz, {size / 1e3:.0f} KB: {figures} (wanted: 10)")
    code = SMALL.format(sdk="boto3, msgspec" if find_spec("boto3") else "msgspec")
    imports = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
        for _ in range(7)
    ]
    print(f"import beyond boto3: {statistics.median(imports):.0f} ms of CPU (wanted: 60)")


CHILDREN["small"] = small


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--child", nargs=argparse.REMAINDER)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--only", default="")
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    if given.child:
        CHILDREN[given.child[0]](*given.child[1:])
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        measure(folder, given)


def measure(folder: Path, given: argparse.Namespace) -> None:
    from machine import describe

    print(describe("isal", "hyperscan", "polars", "duckdb"))
    rules = folder / "rules.json"
    made("write-rules", str(rules))
    logs = {}
    for kind in GENERATORS:
        path = folder / f"{kind}.gz"
        logs[kind] = (path, int(made("write-log", kind, str(given.megabytes * 10**6), str(path))))
    wanted = [each for each in given.only.split(",") if each]
    found = [
        row
        for row in rows(str(rules))
        if not wanted
        or any(each in row.name for each in wanted)
        or row.name.startswith("zcat")
        or "fields, time" in row.name
    ]
    for number in range(given.rounds):
        for row in found:
            for kind, (path, _) in logs.items():
                if not row.slow or number < 2:
                    run(row, kind, str(path))
    for kind, (_, size) in logs.items():
        show(found, kind, size / 1e6)
    print()
    show_large(folder, logs, str(rules))
    show_small(folder, str(rules))


if __name__ == "__main__":
    main()

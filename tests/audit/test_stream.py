from __future__ import annotations

import gzip
import random
import zlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.audit.conftest import Pieces
from triggerfish.audit import stream
from triggerfish.audit.stream import STANDARD, Ahead, Caps, Stream, isal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from triggerfish.audit.stream import Inflate

FAST = isal()
BOTH = pytest.mark.parametrize(
    "inflate", [STANDARD, pytest.param(FAST, marks=pytest.mark.skipif(not FAST, reason="no isal"))]
)


def text(size: int, seed: int = 1) -> bytes:
    rnd = random.Random(seed)  # noqa: S311  not a secret
    return b"".join(b"line %d of the log\n" % rnd.randrange(10**6) for _ in range(size // 22))


def read(
    data: bytes,
    *,
    sizes: Sequence[int] = (1 << 20,),
    caps: Caps | None = None,
    inflate: Inflate | None = None,
) -> tuple[bytes, Stream]:
    opened = Stream(Pieces(data, sizes), caps=caps, inflate=inflate)
    return b"".join(opened), opened


@BOTH
@pytest.mark.parametrize("size", [0, 1, 100, 70_000, 3_000_000])
def test_gzip_and_plain_text_give_the_same_bytes(size: int, inflate: Inflate) -> None:
    data = text(size) + b"x" * (size % 22)
    for compressed in (data, gzip.compress(data, 6)):
        output, opened = read(compressed, inflate=inflate)
        assert (output, opened.problem) == (data, None)
        assert opened.compressed_bytes == len(compressed)
        assert opened.output_bytes == len(data)


@BOTH
def test_every_member_is_read(inflate: Inflate) -> None:
    """Also one that begins at a block's end, and empty ones; zeros may pad them."""
    parts = [text(100_000, seed) for seed in range(4)]
    data = b"".join(gzip.compress(part) for part in [b"", *parts[:2], b"", *parts[2:]])
    for sizes in ((1,), (7, 1000), (len(gzip.compress(parts[0])) + 21,), (1 << 20,)):
        output, opened = read(data + b"\0" * 100, sizes=sizes, inflate=inflate)
        assert (output, opened.problem) == (b"".join(parts), None)


@BOTH
def test_what_follows_the_last_member_is_said(inflate: Inflate) -> None:
    output, opened = read(gzip.compress(b"good\n") + b"\0\0not gzip", inflate=inflate)
    assert (output, opened.problem) == (b"good\n", "bad-gzip")


@BOTH
def test_truncated_stream_is_said_and_read_to_its_last_byte(inflate: Inflate) -> None:
    data = text(40_000)
    whole = gzip.compress(data, 6)
    for length in range(2, len(whole), 97):
        wanted = zlib.decompressobj(31).decompress(whole[:length])
        output, opened = read(whole[:length], inflate=inflate)
        assert (output, opened.problem) == (wanted, "truncated")
    assert read(whole[:-1], inflate=inflate)[0] == data


@BOTH
def test_damaged_stream_is_said_and_read_up_to_the_damage(inflate: Inflate) -> None:
    data = text(2_000_000)
    whole = bytearray(gzip.compress(data, 6))
    whole[len(whole) // 2 : len(whole) // 2 + 50] = b"\xff" * 50
    output, opened = read(bytes(whole), inflate=inflate)
    assert opened.problem == "bad-gzip"
    assert output[: len(data) * 45 // 100] == data[: len(data) * 45 // 100]
    assert output == read(bytes(whole), inflate=STANDARD)[0]


@BOTH
def test_wrong_checksum_withholds_nothing(inflate: Inflate) -> None:
    data = text(2_000_000)
    whole = bytearray(gzip.compress(data, 6))
    whole[-6] ^= 0xFF
    output, opened = read(bytes(whole), inflate=inflate)
    assert (output, opened.problem) == (data, "bad-gzip")


@BOTH
def test_bomb_is_stopped_at_its_ratio(inflate: Inflate) -> None:
    bomb = gzip.compress(bytes(50_000_000), 9)
    caps = Caps(ratio=100, ratio_from_bytes=1_000_000)
    size = 0
    opened = Stream(Pieces(bomb), caps=caps, inflate=inflate)
    for piece in opened:
        assert len(piece) <= stream.PIECE_BYTES
        size += len(piece)
    assert opened.problem == "too-large"
    assert size < 8_000_000


def test_bomb_in_many_members_is_stopped() -> None:
    bomb = gzip.compress(bytes(1_000_000), 9) * 50
    output, opened = read(bomb, caps=Caps(ratio=100, ratio_from_bytes=1_000_000))
    assert opened.problem == "too-large"
    assert len(output) < 6_000_000


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_output_is_capped(pack: type[bytes]) -> None:
    output, opened = read(pack(text(2_000_000)), caps=Caps(output_bytes=500_000))
    assert opened.problem == "too-large"
    assert 500_000 < len(output) <= 500_000 + stream.PIECE_BYTES


def test_idle_file_that_compresses_well_is_read() -> None:
    data = b"the same line every minute\n" * 400_000
    output, opened = read(gzip.compress(data, 9))
    assert (output, opened.problem) == (data, None)


def test_history_of_a_large_member_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "HISTORY_BYTES", 1000)
    data = text(2_000_000)
    whole = gzip.compress(data, 6)
    output, opened = read(whole[:-9], inflate=STANDARD)
    assert (output, opened.problem) == (data, "truncated")


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.binary(max_size=200_000), max_size=4),
    st.lists(st.integers(1, 100_000), min_size=1, max_size=4),
    st.integers(0, 400_000),
    st.one_of(st.none(), st.integers(0, 400_000)),
)
def test_both_libraries_give_the_same(
    parts: list[bytes], sizes: list[int], cut: int, flip: int | None
) -> None:
    """Whole, truncated or damaged, however the bytes arrive."""
    data = bytearray(b"".join(gzip.compress(part, 6, mtime=0) for part in parts))[: cut or None]
    if flip is not None and flip < len(data):
        data[flip] ^= 0x55
    standard, by_standard = read(bytes(data), sizes=sizes, inflate=STANDARD)
    fast, by_fast = read(bytes(data), inflate=FAST)
    assert fast == standard
    assert by_fast.problem == by_standard.problem


def test_reading_ahead_gives_all_pieces_in_order() -> None:
    with Ahead(bytes([number]) for number in range(200)) as pieces:
        assert b"".join(pieces) == bytes(range(200))


def test_failure_while_reading_ahead_is_raised_where_it_is_read() -> None:
    def failing() -> Iterator[bytes]:
        yield b"good"
        raise OSError("the disk is gone")

    with Ahead(failing()) as pieces:
        assert next(pieces) == b"good"
        with pytest.raises(OSError, match="the disk is gone"):
            next(pieces)


def test_reading_ahead_may_be_left_at_any_time() -> None:
    ahead = Ahead(b"x" for _ in range(10_000))
    with ahead as pieces:
        next(pieces)
    assert not ahead.is_alive()


def test_isal_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "isal", None)
    assert isal() is None
    data = text(200_000)
    assert read(gzip.compress(data))[0] == data

"""Addresses as the connection log has them, and whether they are in a list of networks."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_MAPPED = "::ffff:"
_COLONS = rb":(?:[^:]|:(?:[^f]|f(?:[^f]|f(?:[^f]|f(?:[^f]|f[^:])))))"
"""An IPv6 address that begins with a colon, but not with `::ffff:`."""
_NAMELIKE = rb"(?:::ffff:)?[0-9][0-9.]*[^0-9.\s|]|\[[^l]|" + _COLONS
"""What begins like an IPv4 address and is none, and what else the numbers don't tell."""
_END = "end"
_WHOLE = "whole"

_Trie: TypeAlias = "dict[str, _Trie]"


def address_of(host: str) -> str:
    """`192.0.2.1` of `::ffff:192.0.2.1`: the IPv4 address that an IPv6 socket shows so."""
    plain = host.strip()
    return plain[len(_MAPPED) :] if plain.lower().startswith(_MAPPED) and "." in plain else plain


def is_local(host: str) -> bool:
    """Whether the connection came from the cluster's own machine."""
    address = address_of(host)
    return address in {"[local]", "", "::1"} or address.startswith("127.")


class Networks:
    """A list of networks. An address that is none (a name) is in no network."""

    __slots__ = ("_v4", "_v6")

    def __init__(self, networks: Iterable[str]) -> None:
        """Raises `ValueError` for what is no network."""
        parsed = [ip_network(each, strict=False) for each in networks]
        self._v4 = [
            (int(n.network_address), int(n.netmask)) for n in parsed if isinstance(n, IPv4Network)
        ]
        self._v6 = [n for n in parsed if not isinstance(n, IPv4Network)]

    def holds(self, host: str) -> bool:
        try:
            address = ip_address(address_of(host))
        except ValueError:
            return False
        if isinstance(address, IPv6Address):
            return any(address in network for network in self._v6)
        number = int(address)
        return any(number & mask == base for base, mask in self._v4)

    def excludes(self, host: str) -> bool:
        """Whether `host` is an address or a name of elsewhere, and in none of the networks."""
        return not (self.holds(host) or is_local(host) or _is_broken(host))

    def outside_pattern(self) -> bytes:
        """Bytes for `scan.Rules`: what the host column of one outside begins with.

        So logins from where everybody logs in from aren't even looked at. It finds rather too
        much, and as few bytes as tell: a long expression would slow down all others.
        """
        trie: _Trie = {}
        for base, mask in self._v4:
            for text in _inside(base, mask):
                _put(trie, text)
        first = rb"(?:::ffff:)?" + _outside(trie, rb":\[\s|")
        return rb" *(?:" + first + b"|" + _NAMELIKE + b")"


@lru_cache(maxsize=1024)
def _is_broken(host: str) -> bool:
    """Digits and dots that make no address."""
    address = address_of(host)
    if address.strip("0123456789."):
        return False
    try:
        ip_address(address)
    except ValueError:
        return True
    return False


def network_of(host: str) -> str:
    """The /24 or /48 that an address is in; a name stands for itself."""
    address = address_of(host)
    head, dot, last = address.rpartition(".")
    if dot and last.isdigit() and head.count(".") == 2:
        return f"{head}.0/24"
    if ":" not in address:
        return address
    try:
        return str(ip_network(f"{address.partition('%')[0]}/48", strict=False))
    except ValueError:
        return address


def _inside(base: int, mask: int) -> list[list[str]]:
    """What the addresses of a network begin with, as characters: `10.`, or `192.0.2.7` and its end.

    Only what follows whole octets is listed number by number: 128 of them at most.
    """
    length = mask.bit_count()
    whole, bits = divmod(length, 8)
    octets = [base >> shift & 255 for shift in (24, 16, 8, 0)]
    fixed = [character for octet in octets[:whole] for character in f"{octet}."]
    if whole == 4:
        return [[*fixed[:-1], _END]]
    if bits == 0:
        return [fixed]
    first = octets[whole]
    end = _END if whole == 3 else "."
    return [[*fixed, *str(each), end] for each in range(first, first + (1 << (8 - bits)))]


def _put(trie: _Trie, text: Sequence[str]) -> None:
    """Add a beginning of addresses, all of which are in a network."""
    for character in text:
        if _WHOLE in trie:
            return
        trie = trie.setdefault(character, {})
    trie.clear()
    trie[_WHOLE] = {}


def _outside(trie: _Trie, never: bytes = rb"\n|") -> bytes:
    """What leads out of the trie: a character that no network goes on with, or some that do."""
    if _WHOLE in trie:
        return b"[^0-9.:\\[\\s|]"
    if _END in trie:
        out = sorted(set("0123456789") - trie.keys())
        ways = [f"[{''.join(out)}]".encode()] if out else []
    else:
        ways = [b"[^" + re.escape("".join(sorted(trie))).encode() + never + b"]"]
    below: dict[bytes, str] = {}
    for character, inner in trie.items():
        if character != _END and _WHOLE not in inner:
            rest = _outside(inner)
            below[rest] = below.get(rest, "") + character
    ways += [f"[{re.escape(each)}]".encode() + rest for rest, each in below.items()]
    return b"(?:" + b"|".join(ways) + b")" if ways else rb"[^\x00-\xff]"


def glob_to_bytes(text: str) -> bytes:
    """A glob as bytes of one field."""
    return b"".join(rb"[^|\n]*" if c == "*" else re.escape(c.encode()) for c in text)

"""Damage: what disks, lines and strangers do to a file, anywhere in it, and to the values of a JSON."""

import copy
import json
import struct

from hypothesis import strategies as st

REGIONS = 100  # a file is damaged in each of so many parts of it equally often

_NUMBERS = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1]
_FORMS = ["<H", "<I", "<Q", ">I"]
_PLACE = st.tuples(st.integers(0, REGIONS - 1), st.floats(0, 1, exclude_max=True))
_LENGTH = st.sampled_from([1, 2, 4, 7, 16, 100, 1000, 10_000])
_DAMAGE = st.one_of(
    st.tuples(st.just("flip"), _PLACE, st.integers(1, 255)),
    st.tuples(st.just("bit"), _PLACE, st.integers(0, 7)),
    st.tuples(st.just("cut"), _PLACE, st.none()),
    st.tuples(st.just("drop"), _PLACE, _LENGTH),
    st.tuples(st.just("double"), _PLACE, _LENGTH),
    st.tuples(st.just("zero"), _PLACE, _LENGTH),
    st.tuples(st.just("insert"), _PLACE, st.binary(min_size=1, max_size=40)),
    st.tuples(
        st.just("number"), _PLACE, st.tuples(st.sampled_from(_NUMBERS), st.sampled_from(["<H", "<I", "<Q", ">I"]))
    ),
)


def damages(most: int = 3) -> st.SearchStrategy:
    """One damage, or a few."""
    return st.lists(_DAMAGE, min_size=1, max_size=most)


def damaged(data: bytes, damage: list) -> bytes:
    """The bytes after all that was done to them."""
    found = bytearray(data)
    for kind, (region, within), how in damage:
        at = min(len(found), int((region + within) * len(found) / REGIONS))
        if kind == "cut":
            del found[at:]
        elif kind == "drop":
            del found[at : at + how]
        elif kind == "double":
            found[at:at] = found[at : at + how]
        elif kind == "zero":
            found[at : at + how] = bytes(len(found[at : at + how]))
        elif kind == "insert":
            found[at:at] = how
        elif kind == "number":
            number, form = how
            written = struct.pack(form, number % 256 ** struct.calcsize(form))
            found[at : at + len(written)] = written
        elif at < len(found):
            found[at] ^= how if kind == "flip" else 1 << how
    return bytes(found)


_ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([-1, 0, 2**31, 2**63, 10**30, -0.5, 1e308, float("nan"), float("inf")]),
    st.sampled_from(["", "x" * 10_000, "../../etc/passwd", "\0", "\ud800", "<script>", "1e400", "0"]),
    st.sampled_from([[], {}, [[]], {"": None}, [None] * 1000]),
    st.integers(1, 3000).map(lambda depth: json.loads("[" * min(depth, 900) + "]" * min(depth, 900))),
)


def odd_changes(most: int = 2) -> st.SearchStrategy:
    """Changes of a JSON: where (numbers that lead down into it), what is done, with which value."""
    way = st.lists(st.integers(0, 2**16), min_size=1, max_size=6)
    return st.lists(st.tuples(way, st.sampled_from(["set", "drop", "add"]), _ODD), min_size=1, max_size=most)


def changed(value: object, changes: list) -> object:
    """The value after the changes."""
    whole = {"": copy.deepcopy(value)}
    for way, kind, odd in changes:
        parent, key = whole, ""
        for step in way:
            inside = parent[key]
            if not isinstance(inside, dict | list) or not inside:
                break
            keys = list(inside) if isinstance(inside, dict) else range(len(inside))
            parent, key = inside, keys[step % len(keys)]
        if kind == "drop" and parent is not whole:
            del parent[key]
            if not whole[""]:
                return whole[""]
        elif kind == "add" and isinstance(parent[key], dict):
            parent[key]["odd"] = odd
        elif kind == "add" and isinstance(parent[key], list):
            parent[key].append(odd)
        else:
            parent[key] = odd
    return whole[""]

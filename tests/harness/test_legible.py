"""Names as tables show them: no two look alike, and a name that is shown is found again."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import HarnessError, legible, of_name, visible
from tests.hostile_labels import LABELS, PLAIN, TWINS, unseen

PARTS = st.sampled_from(
    [*"\\xu1bn\n\x1b\u202eeo\u0301\u0323\u00e9\u212b\u1100\u1161\uac00", "\\x1b", "\\u202e", "\\\\"]
)
NAMES = st.one_of(st.text(), st.lists(PARTS).map("".join))


def read_back(shown: str) -> str:
    """The name that is shown so, by a slow reader: each backslash begins an escape."""
    read, rest = "", shown
    while rest:
        size = {"x": 4, "u": 6, "U": 10}.get(rest[1], 2) if rest[0] == "\\" else 1
        read += rest[:size].encode("ascii").decode("unicode_escape") if size > 1 else rest[0]
        rest = rest[size:]
    return read


@given(NAMES)
def test_a_name_can_be_read_back(name: str) -> None:
    shown = legible(name)
    assert read_back(shown) == name
    assert visible(shown) == shown
    assert unicodedata.is_normalized("NFC", shown)


@pytest.mark.parametrize("label", LABELS, ids=ascii)
def test_none_acts_or_hides(label: str) -> None:
    assert unseen(legible(label)) == set()
    assert "\n" not in legible(label)


@pytest.mark.parametrize("label", PLAIN)
def test_ordinary_names_stay(label: str) -> None:
    assert legible(label) == label


@pytest.mark.parametrize(("one", "other"), TWINS, ids=ascii)
def test_twins_are_told_apart_and_each_is_found(one: str, other: str) -> None:
    def look(name: str) -> str:
        return unicodedata.normalize("NFC", visible(name))

    assert one != other
    assert look(one) == look(other)  # so that there is something to tell apart
    assert look(legible(one)) != look(legible(other))
    for name in (one, other):
        assert of_name(legible(name), [one, other], str) == [name]
    if visible(one) == one and visible(other) == other:  # else what is shown goes first: it is what people copy
        assert of_name(one, [one, other], str) == [one]
        assert of_name(other, [other], str) == [other]
        assert of_name(one, [other], str) == [other]  # another system writes it so


def test_a_name_that_fits_two_that_differ_in_unicode_is_refused() -> None:
    known = ["a\u0323\u0301", "\u1ea1\u0301"]  # one letter, in two forms of which neither is NFC
    with pytest.raises(HarnessError) as refused:
        of_name("a\u0301\u0323", ["\u00e1\u0323", *known[:1]], str)
    assert "several spellings in Unicode: write one of " in str(refused.value)
    assert str(refused.value).isprintable()

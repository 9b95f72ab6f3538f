"""What can be stored and what cannot: against packing itself, and against slow definitions."""

from __future__ import annotations

import zlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.store import plausible
from harness.store.soundness import block_problems, place_problems
from harness.store.verdicts import PackedBlock, pack

VERDICTS = st.lists(st.integers(0, 1), min_size=1, max_size=40).map(bytes)


def problems(examples: int, correct: int, verdicts: bytes, margins: bytes | None, predicted: bytes | None) -> list[str]:
    return list(block_problems(PackedBlock(1, 0, examples, correct, verdicts, margins, predicted)))


@given(VERDICTS)
def test_a_packed_block_is_sound(verdicts: bytes) -> None:
    packed, count = pack(verdicts), len(verdicts)
    assert not problems(count, sum(verdicts), packed, None, None)
    assert not problems(count, sum(verdicts), packed, bytes(2 * count), bytes(2 * count))


@given(VERDICTS, st.data())
def test_a_block_with_one_bit_flipped_is_not(verdicts: bytes, data: st.DataObject) -> None:
    packed = bytearray(pack(verdicts))
    bit = data.draw(st.integers(0, 8 * len(packed) - 1))
    packed[bit // 8] ^= 0x80 >> bit % 8
    assert problems(len(verdicts), sum(verdicts), bytes(packed), None, None)


@given(VERDICTS, st.integers(-3, 3).filter(bool), st.integers(-2, 2).filter(bool))
def test_a_block_with_another_count_or_length_is_not(verdicts: bytes, more: int, longer: int) -> None:
    packed, count, right = pack(verdicts), len(verdicts), sum(verdicts)
    assert problems(count, right + more, packed, None, None)
    assert problems(count + 8 * longer, right, packed, None, None)
    kept = bytes(max(2 * count + longer, 0))
    assert problems(count, right, packed, kept, None)
    assert problems(count, right, packed, None, kept)


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(1, 6)), max_size=4), st.integers(1, 12))
def test_blocks_are_sound_together_if_each_image_is_in_one_at_most(blocks: list[tuple[int, int]], images: int) -> None:
    covered = [image for start, count in blocks for image in range(start, start + count)]
    possible = len(covered) == len(set(covered)) and all(image < images for image in covered)
    assert (not list(place_problems(images, blocks))) == possible


@pytest.mark.parametrize(
    ("folder", "sound"),
    [
        ("sat-net-digits-s0-0123abcd", True),
        ("sat-net-digits-s0-0123abcd-2", True),
        ("sat-net-digits-s0-0123abcd-2-3", True),
        ("sat-net-digits-s0-0123abcd-", False),
        ("sat-net-digits-s0-0123abce", False),
        ("0123abcd", False),
        ("sat-net-digits-s0-0123abcd/x", False),
        ("sat-net-digits-s0-0123abcd\n", False),
        ("/sat-net-digits-s0-0123abcd", False),
        ("..", False),
        ("", False),
    ],
)
def test_a_folder_is_one_component_that_is_the_runs_own(folder: str, sound: bool) -> None:
    assert (plausible.folder_fault(folder, "0123abcd" + "0" * 56) is None) == sound


def test_dates() -> None:
    now = datetime.now(UTC).replace(tzinfo=None)
    assert plausible.dates_fault(now, now) is None
    assert plausible.dates_fault(now, now - timedelta(hours=1)) is None  # the clock of another machine
    assert plausible.dates_fault(now + timedelta(days=2)) is not None
    assert plausible.dates_fault(datetime(1970, 1, 1)) is not None
    assert plausible.dates_fault(now, now - timedelta(days=2)) is not None


def test_an_image_is_unpacked_no_further_than_its_size() -> None:
    image = bytes(range(16))
    assert plausible.image_fault(zlib.compress(image), 0, 1, 16) is None
    for pixels in (image, zlib.compress(image)[:-1], zlib.compress(image) + b"x", zlib.compress(image * 2), b""):
        assert plausible.image_fault(pixels, 0, 1, 16) is not None
    assert plausible.image_fault(zlib.compress(image), 1, 1, 16) is not None

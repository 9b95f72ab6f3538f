"""The times that a bench keeps: where, for how long, and for which work they are looked up."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest

from harness.planning.measured_times import Bench, Timed, keep_bench, matching, read_benches, times_file
from harness.plugin.attack import Passes

PLACE: dict[str, Any] = {
    "host": "here",
    "device": "cpu",
    "network": "smallcnn",
    "network_settings": {"width": 16},
    "image": (1, 8, 8),
    "precision": "float32",
    "plain": False,
}
BENCH = Bench(
    **PLACE,
    training={"sat": Timed(seconds=0.125, passes=Passes(11, 11), measured=True)},
    attacks={"pgd": Timed(seconds=0.25, passes=Passes(21, 20), measured=False)},
    measured_utc="2026-11-29T12:00:00+00:00",
    beside={"threads": {"training": 2, "attacks": 1}},
)
OTHERS: list[dict[str, Any]] = [
    {"host": "there"},
    {"device": "NVIDIA H200"},
    {"network": "resnet18"},
    {"network_settings": {"width": 8}},
    {"image": (3, 32, 32)},
    {"precision": "bfloat16"},
    {"plain": True},
]


def looked_up(benches: list[Bench], **changes: Any) -> Bench | None:
    asked = PLACE | changes
    network = (asked.pop("network"), asked.pop("network_settings"))
    return matching(benches, network=network, **asked)


def test_what_is_kept_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "new" / "times.json"
    assert keep_bench(BENCH, file) == file
    assert read_benches(file) == [BENCH]


def test_a_newer_bench_replaces_one_of_the_same_place_alone(tmp_path: Path) -> None:
    file = tmp_path / "times.json"
    other = dataclasses.replace(BENCH, host="there")
    newer = dataclasses.replace(BENCH, measured_utc="2026-12-01T12:00:00+00:00", training={}, beside={})
    for bench in (BENCH, other, newer):
        keep_bench(bench, file)
    assert read_benches(file) == [other, newer]


@pytest.mark.parametrize("other", OTHERS, ids=lambda other: next(iter(other)))
def test_it_is_found_for_its_own_place_alone(other: dict[str, Any]) -> None:
    elsewhere = dataclasses.replace(BENCH, **other)
    assert elsewhere.place != BENCH.place
    assert looked_up([BENCH, elsewhere]) == BENCH
    assert looked_up([BENCH, elsewhere], **other) == elsewhere
    assert looked_up([BENCH], **other) is None


def test_for_attacks_the_newest_of_any_precision_counts() -> None:
    newer = dataclasses.replace(BENCH, precision="bfloat16")
    assert looked_up([BENCH, newer], precision=None) == newer


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        '{"edition": 99, "benches": []}',
        '{"edition": 1, "benches": [{"host": "here"}]}',
        "\udcff",
    ],
)
def test_a_damaged_file_is_as_good_as_none_and_is_replaced(content: str, tmp_path: Path) -> None:
    file = tmp_path / "times.json"
    file.write_bytes(content.encode("utf-8", "surrogateescape"))
    assert read_benches(file) == []
    keep_bench(BENCH, file)
    assert read_benches(file) == [BENCH]


@pytest.mark.parametrize("spoilt", [{"seconds": math.nan}, {"seconds": -1.0}, {"passes": Passes(0, 0)}], ids=str)
def test_times_that_are_no_times_are_not_read(spoilt: dict[str, Any], tmp_path: Path) -> None:
    timed = dataclasses.replace(BENCH.training["sat"], **spoilt)
    file = keep_bench(dataclasses.replace(BENCH, training={"sat": timed}), tmp_path / "times.json")
    assert read_benches(file) == []


def test_it_lies_in_the_users_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert times_file() == tmp_path / "harness" / "times.json"
    for ignored in ("", "relative/folder"):  # the XDG rules ask for an absolute path
        monkeypatch.setenv("XDG_CACHE_HOME", ignored)
        assert times_file() == Path.home() / ".cache" / "harness" / "times.json"

"""A data set that workers share: the same images, one copy, and what a worker writes to them it alone sees."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

from harness.errors import DataError
from harness.events import Event, Noted, Report
from harness.execution.executors.processes import Processes
from harness.execution.executors.shared_images import SharedImages, arrays_of, dataset_with
from harness.execution.loaded import forget_dataset, keep_dataset, kept_dataset
from harness.execution.work import Work
from harness.planning.assessment import DatasetPlace, GivenImages
from harness.plugin.dataset import Dataset, Split
from tests.harness.execution.executors.listed import Listed

NOWHERE = DatasetPlace(source="not-a-data-set", settings={}, data_dir=Path("nowhere"))


@dataclass(frozen=True, kw_only=True)
class Reader(Work):
    """Says what the data set is, and then spoils it."""

    number: int

    @property
    def key(self) -> str:
        return str(self.number)

    def _perform(self, report: Report) -> None:
        dataset = self._dataset()
        kept = kept_dataset(self.place)
        assert kept is not None
        sums = [int(part.images.sum()) * 1000 + int(part.labels.sum()) for part in (dataset.train, dataset.test)]
        report(Noted(f"{os.getpid() != int(os.environ['COMMAND'])} {sums} {dataset.classes} {len(dataset.train)}"))
        kept.test.images[:] = 0


def reader(folder: Path, number: int, fingerprint: str, place: DatasetPlace = NOWHERE) -> Reader:
    return Reader(
        number=number,
        place=place,
        dataset_fingerprint=fingerprint,
        folder=folder / str(number),
        device=torch.device("cpu"),
        threads=1,
        plugins=(),
    )


def made(train: int = 7) -> Dataset:
    draws = torch.Generator().manual_seed(3)

    def part(count: int) -> Split:
        images = torch.randint(0, 256, (count, 1, 2, 2), dtype=torch.uint8, generator=draws)
        return Split(images, torch.randint(0, 3, (count,), generator=draws))

    return Dataset("made", part(train), part(5), ("one", "two", "three"), levels=255)


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    forget_dataset()
    yield
    forget_dataset()


@pytest.mark.parametrize("train", [7, 0])
def test_workers_need_not_load_what_the_command_has(
    train: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The data set's source does not exist. The worker hears of a variable that was set after Python's start."""
    dataset, told = made(train), list[Event]()
    keep_dataset(NOWHERE, dataset)
    monkeypatch.setenv("COMMAND", str(os.getpid()))
    works = [reader(tmp_path, number, dataset.fingerprint) for number in range(2)]
    with Processes(2) as executor:
        errors = [done.error for done in executor.run(Listed(works), told.append)]
    assert errors == [None, None]
    by_hand = [sum(p.images.flatten().tolist()) * 1000 + sum(p.labels.tolist()) for p in (dataset.train, dataset.test)]
    assert {event.text for event in told if isinstance(event, Noted)} == {f"True {by_hand} {dataset.classes} {train}"}
    assert made(train).fingerprint == dataset.fingerprint
    assert torch.equal(made(train).test.images, dataset.test.images)  # what a worker wrote, it alone has seen


def test_a_worker_refuses_another_data_set_than_was_planned(tmp_path: Path) -> None:
    keep_dataset(NOWHERE, made())
    with Processes(1) as executor:
        (done,) = executor.run(Listed([reader(tmp_path, 0, "another")]), lambda event: None)
    assert isinstance(done.error, DataError)
    assert "changed while the command ran" in str(done.error)


def test_the_memory_has_one_copy_and_is_given_back(tmp_path: Path) -> None:
    dataset, images = made(), SharedImages()
    keep_dataset(NOWHERE, dataset)
    first = images.of(reader(tmp_path, 0, dataset.fingerprint))
    assert first is not None
    assert images.of(reader(tmp_path, 1, dataset.fingerprint)) is first
    assert first.read().fingerprint == dataset.fingerprint
    other = DatasetPlace(source="another", settings={}, data_dir=Path("nowhere"))
    keep_dataset(other, made(3))
    second = images.of(reader(tmp_path, 2, "", other))
    assert second is not None
    assert second.read().fingerprint == made(3).fingerprint
    assert first.read().fingerprint == dataset.fingerprint  # a worker may be slow to open what it was told of
    images.close()
    with pytest.raises(OSError, match="No such file"):
        second.read()


def test_two_data_sets_at_once_are_not_mixed_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their fingerprints are told by their source, as those of a folder's sample are: no worker computes them."""
    monkeypatch.setenv("COMMAND", str(os.getpid()))
    first = replace(made(), identified_by="first")
    second = replace(made(), identified_by="second", test=Split(255 - made().test.images, made().test.labels))
    other, told = replace(NOWHERE, source="another"), list[Event]()
    keep_dataset(NOWHERE, first)
    keep_dataset(other, second)
    works = [reader(tmp_path, 0, "first"), reader(tmp_path, 1, "second", other)]
    with Processes(2) as executor:  # both workers have their items before either is there
        errors = [done.error for done in executor.run(Listed(works), told.append)]
    assert errors == [None, None]
    train, labels = sum(made().train.images.flatten().tolist()), sum(made().train.labels.tolist())
    pixels, own = made().test.images.flatten().tolist(), sum(made().test.labels.tolist())
    sums = [sum(pixels), sum(255 - pixel for pixel in pixels)]
    by_hand = {f"True {[train * 1000 + labels, total * 1000 + own]} {first.classes} 7" for total in sums}
    assert {event.text for event in told if isinstance(event, Noted)} == by_hand


@pytest.mark.parametrize("axes", [(0, 1, 2, 3), (0, 3, 1, 2), (1, 0, 3, 2)])
@pytest.mark.parametrize("channels", [1, 3])
def test_channels_that_come_last_stay_last(axes: tuple[int, ...], channels: int, tmp_path: Path) -> None:
    """A convolution rounds otherwise if its images lie otherwise in memory."""
    images = torch.arange(4 * 5 * 6 * channels, dtype=torch.uint8).reshape(4, 5, 6, channels).permute(axes)
    dataset = replace(made(0), test=Split(images, torch.arange(len(images)) % 3))
    keep_dataset(NOWHERE, dataset)
    shared = SharedImages()
    held = shared.of(reader(tmp_path, 0, dataset.fingerprint))
    assert held is not None
    read = held.read().test.images
    assert torch.equal(read, images)
    assert read.stride() == images.stride()
    shared.close()


def test_memory_that_is_refused_is_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then each worker loads the data set for itself; the command tries no more."""
    tries, made_memory = list[int](), os.memfd_create

    def full(name: str) -> int:
        tries.append(made_memory(name))
        return os.open("/dev/full", os.O_WRONLY)

    keep_dataset(NOWHERE, made(40_000))
    monkeypatch.setattr(os, "memfd_create", full)
    before, shared = len(list(Path("/proc/self/fd").iterdir())), SharedImages()
    assert [shared.of(reader(tmp_path, number, "")) for number in range(3)] == [None, None, None]
    assert len(tries) == 1
    os.close(tries[0])
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_nothing_is_shared_that_is_not_there(tmp_path: Path) -> None:
    given = GivenImages("made", {}, Path("nowhere"), dataset=made())
    keep_dataset(given, made())
    assert [SharedImages().of(reader(tmp_path, 0, "", place)) for place in (NOWHERE, given)] == [None, None]


def test_a_data_set_is_put_together_as_it_was() -> None:
    outline, arrays = arrays_of(made())
    assert (len(outline.train), len(outline.test)) == (0, 0)
    assert dataset_with(outline, arrays).fingerprint == made().fingerprint

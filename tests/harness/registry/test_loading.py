"""What a data set gives is checked before anything else: each fault one line that names the plugin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.data.cifar10 import CIFAR10
from harness.data.digits import Digits
from harness.data.svhn import SVHN
from harness.errors import DataError, PluginError, PluginFault
from harness.planning.request import RunRequest
from harness.planning.run_job import resolve_run
from harness.plugin.dataset import Augmentation, Dataset, DataSource, Split
from harness.plugin.network import Shape
from harness.registry.loading import load, problems, unread
from tests.harness.training.given import dataset

GOOD = replace(dataset(40), classes=tuple("abcd"))


def images(**changes: Any) -> Dataset:
    return replace(GOOD, train=replace(GOOD.train, **changes), test=replace(GOOD.test, **changes))


BROKEN: dict[str, tuple[Any, str]] = {
    "not a data set": ({"train": GOOD.train}, "load returned a dict"),
    "floats in [0, 1]": (images(images=GOOD.train.images / 255), "images are torch.float32; give uint8 levels"),
    "NaN": (images(images=GOOD.train.images * torch.nan), "images are torch.float32"),
    "int32": (images(images=GOOD.train.images.int()), "images are torch.int32"),
    "an array": (images(images=GOOD.train.images.numpy()), "images are a ndarray"),
    "no channel axis": (images(images=GOOD.train.images[:, 0]), r"shape \(40, 8, 8\); give \(n, channels"),
    "channels last": (images(images=torch.zeros(40, 8, 8, 3, dtype=torch.uint8)), "channels last"),
    "above its levels": (replace(GOOD, levels=16), "above its levels, 16"),
    "labels from 1": (images(labels=GOOD.train.labels + 1), "labels reach from .* and it has 4 classes: they count"),
    "negative labels": (images(labels=GOOD.train.labels - 1), "labels reach from -1"),
    "float labels": (images(labels=GOOD.train.labels.float()), "labels are torch.float32; give int64"),
    "one-hot labels": (images(labels=torch.eye(4)[GOOD.train.labels].long()), r"labels have shape \(40, 4\)"),
    "fewer labels": (images(labels=GOOD.train.labels[:30]), "40 images, 30 labels"),
    "an empty part": (replace(GOOD, test=Split(GOOD.test.images[:0], GOOD.test.labels[:0])), "its test part is empty"),
    "two shapes": (
        replace(GOOD, test=Split(GOOD.test.images[..., :4], GOOD.test.labels)),
        "train and test images differ in shape",
    ),
    "a class too many": (replace(GOOD, classes=tuple("abcde")), "a class has no training image"),
    "one name twice": (replace(GOOD, classes=("a", "b", "c", "a")), "two of its classes have one name"),
    "no name": (replace(GOOD, name=None), "its name is not a string"),  # type: ignore[arg-type]
    "parts that are pairs": (
        replace(GOOD, train=(1, 2)),  # type: ignore[arg-type]
        r"its train part is a tuple; give a harness\.plugin\.dataset\.Split",
    ),
    "no labels": (images(labels=None), "its train labels are a NoneType"),
    "one label": (images(labels=torch.tensor(3)), r"its train labels have shape \(\)"),
    "no levels": (replace(GOOD, levels=0), "its levels are 0; give the pixel value"),
    "levels that are no number": (replace(GOOD, levels=float("nan")), "its levels are nan"),  # type: ignore[arg-type]
    "levels that are a text": (replace(GOOD, levels="255"), "its levels are '255'"),  # type: ignore[arg-type]
    "no augmentation": (replace(GOOD, augmentation=None), "its augmentation is None"),  # type: ignore[arg-type]
    "a crop to the outside": (replace(GOOD, augmentation=Augmentation(crop_padding=-1)), "crop_padding 0 or more"),
    "named by something else": (replace(GOOD, identified_by="mine"), "load sets sampled_from or identified_by"),
    "a part for the whole": (replace(GOOD, sampled_from=400), "load sets sampled_from or identified_by"),
    "a list of names": (replace(GOOD, classes=list("abcd")), "its classes are not a tuple of strings"),  # type: ignore[arg-type]
}


@dataclass(frozen=True, kw_only=True)
class Given(DataSource):
    """Gives what it is told to."""

    name = "given"
    gives: Callable[[], Any]

    def __post_init__(self) -> None:
        """Nothing to check."""

    def load(self, data_dir: Path) -> Dataset:
        return self.gives()  # type: ignore[no-any-return]


@pytest.mark.parametrize(("data", "problem"), BROKEN.values(), ids=BROKEN)
def test_a_broken_data_set_is_named(data: Any, problem: str, tmp_path: Path) -> None:
    with pytest.raises(PluginFault, match=problem) as caught:
        load(Given(gives=lambda: data), tmp_path)
    assert str(caught.value).startswith(f"dataset 'given' ({Path(__file__).resolve()})")
    assert "`harness check dataset given" in str(caught.value)


@pytest.mark.parametrize("evaluation_only", [False, True], ids=["to train", "to evaluate"])
def test_one_class_is_refused_whatever_the_source(evaluation_only: bool, tmp_path: Path) -> None:
    """There is no other class, so the largest other probability, and with it a margin, would be the least of none."""
    one = replace(images(labels=torch.zeros(40, dtype=torch.int64)), classes=("cat",))
    with pytest.raises(
        DataError, match=r"^noise is refused: it has one class, cat, .* give images of two classes or more$"
    ):
        load(Given(gives=lambda: one), tmp_path, evaluation_only=evaluation_only)
    two = replace(GOOD, classes=("cat", "dog"), train=Split(GOOD.train.images, GOOD.train.labels % 2))
    two = replace(two, test=Split(GOOD.test.images, GOOD.test.labels % 2))
    assert load(Given(gives=lambda: two), tmp_path, evaluation_only=evaluation_only).classes == ("cat", "dog")


def test_one_that_raises_is_named_and_one_that_prints_stays_off_standard_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def raising() -> Dataset:
        raise KeyError("pixels")

    def printing() -> Dataset:
        print("reading")
        return GOOD

    with pytest.raises(PluginFault, match="it raised KeyError: 'pixels'"):
        load(Given(gives=raising), tmp_path)
    load(Given(gives=printing), tmp_path)
    assert capsys.readouterr() == ("", "reading\n")


def test_what_ships_has_no_problem_and_an_evaluation_asks_nothing_of_the_training_part(tmp_path: Path) -> None:
    assert list(problems(Digits().load(tmp_path))) == []
    nothing = replace(GOOD, train=Split(GOOD.train.images[:0], GOOD.train.labels[:0]))
    assert list(problems(nothing, trained=False)) == []
    assert list(problems(nothing)) != []


def test_levels_that_are_likely_wrong_are_told(tmp_path: Path) -> None:
    dark = images(images=GOOD.train.images // 16)
    dark = replace(
        dark, test=replace(dark.test, images=dark.test.images.flip(3))
    )  # other images than those of training
    (note,) = load(Given(gives=lambda: dark), tmp_path).notes
    assert "the brightest test pixel is 15, and 255 is 1.0" in note
    assert load(Given(gives=lambda: replace(dark, levels=16)), tmp_path).notes == ()


@pytest.mark.parametrize(("shared", "told"), [(40, "40 of its 40"), (3, "3 of its 40"), (0, None)])
def test_test_images_that_are_training_images_are_told(shared: int, told: str | None, tmp_path: Path) -> None:
    mirrored = GOOD.test.images.flip(3)
    mirrored[:shared] = GOOD.train.images[-shared:] if shared else mirrored[:0]
    data = replace(GOOD, test=replace(GOOD.test, images=mirrored))
    notes = load(Given(gives=lambda: data), tmp_path).notes
    assert [note.split(" test images are training images")[0] for note in notes] == ([told] if told else [])


def test_a_few_shared_images_among_many_are_not(tmp_path: Path) -> None:
    many = torch.arange(256, dtype=torch.uint8).view(256, 1, 1, 1).expand(256, 1, 8, 8)
    test = Split(many.clone(), torch.arange(256) % 4)
    test.images[:, :, 0] = 255 - test.images[:, :, 0]  # no image has equal rows now
    test.images[0] = 7  # but for this one
    data = replace(GOOD, train=Split(many, torch.arange(256) % 4), test=test)
    assert load(Given(gives=lambda: data), tmp_path).notes == ()


def test_a_sample_may_not_be_larger_than_what_it_was_taken_from() -> None:
    for sampled_from, wrong in ((400, 0), (40, 0), (39, 1)):
        data = replace(GOOD, sampled_from=sampled_from, identified_by="test files")
        assert len(list(problems(data, trained=False, whole=False))) == wrong


def test_what_a_loader_leaves_changed_of_the_process_is_put_back(tmp_path: Path) -> None:
    def disturbing() -> Dataset:
        torch.set_grad_enabled(False)
        torch.set_default_dtype(torch.float64)
        return GOOD

    try:
        load(Given(gives=disturbing), tmp_path)
        assert torch.is_grad_enabled()
        assert torch.get_default_dtype() == torch.float32
    finally:
        torch.set_grad_enabled(True)
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(("source", "train", "test"), [(CIFAR10(), 50_000, 10_000), (SVHN(), 73_257, 26_032)])
def test_costs_are_counted_without_the_images(source: DataSource, train: int, test: int, tmp_path: Path) -> None:
    assert not source.here(tmp_path)
    data = unread(source)
    assert (len(data.train), data.test_total, data.shape) == (train, test, Shape(3, 32, 32, 10))
    assert "its images are not here" in data.notes[0]
    name = type(source).__name__.lower()
    request = RunRequest(methods=("sat",), network="smallcnn", dataset=name, data_dir=tmp_path, device="cpu")
    (job,) = resolve_run(request, count_only=True)
    assert (len(job.dataset.train), job.examples) == (train, test)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(PluginError, match="not known without its images"):
        unread(Digits())

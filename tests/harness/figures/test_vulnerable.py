"""Figure 2: its rows against the network itself, its dots against the rows, and what is refused."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.errors import HarnessError
from harness.figures.marks import Marks, Value
from harness.figures.vulnerable import VULNERABLE, embedded
from harness.networks.smallcnn import SmallCNN
from harness.plugin.images import balanced_order
from harness.training.loop import initial_model
from tests.harness.figures import made, networks

N = 40


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("vulnerable")


@pytest.fixture(scope="module")
def marks(place: Path) -> Marks:
    return VULNERABLE.data(networks.material(networks.filled(place), place, images=N))


def test_rows_are_of_a_balanced_sample_of_the_training_images(marks: Marks) -> None:
    labels = networks.digits().train.labels.tolist()
    for row in ("sat", "gairat"):
        held = marks.where(row=row)
        assert [mark["image"] for mark in held] == list(balanced_order(tuple(labels))[:N])
        assert [mark["label"] for mark in held] == [labels[int(str(mark["image"]))] for mark in held]
    assert (marks.only("part"), marks.only("images"), marks.only("steps")) == ("train", N, 3)
    assert marks.only("epsilon") == networks.TRAINING["epsilon"]
    assert [marks.where(row=row)[0]["train_seed"] for row in ("sat", "gairat")] == [0, 5]


def test_images_that_are_wrong_from_the_start_have_no_distance(marks: Marks) -> None:
    """An independent fact: an image at whose start the network is wrong flips at step 0, and V of CW is below 0."""
    for mark in marks.where(steps_to_flip=0):
        assert float(str(mark["v_cw"])) < 0
    assert {mark["steps_to_flip"] for mark in marks.rows} <= {0, 1, 2, 3}


def top(values: list[float], k: int) -> set[int]:
    """The places of the smallest values, as near to k as whole groups allow, by trying each border."""
    sets = [{i for i, value in enumerate(values) if value <= border} for border in sorted(set(values))]
    return min(sets, key=lambda members: (abs(len(members) - k), len(members))) if len(sets) > 1 else set()


def test_top_sets_are_whole_groups_nearest_to_a_fifth(marks: Marks) -> None:
    for row in ("sat", "gairat"):
        held = marks.where(row=row)
        for view in ("steps_to_flip", "v_pgd", "v_cw"):
            members = {i for i, mark in enumerate(held) if mark[f"top_{view}"]}
            assert members == top([float(str(mark[view])) for mark in held], math.ceil(N / 5))


def test_the_plane_keeps_neighbours_of_the_logits(marks: Marks) -> None:
    """Of an image's nearest neighbours by logits, far more than by chance are its nearest in the plane."""
    data = networks.digits()
    held = marks.where(row="sat")
    x = data.pixels(data.train.images[[int(str(mark["image"])) for mark in held]])
    with torch.no_grad():
        logits = initial_model(SmallCNN(width=networks.WIDTH), data.shape, 0).eval()(x)
    plane = torch.tensor([[float(str(mark["x"])), float(str(mark["y"]))] for mark in held])
    nearest = [torch.cdist(points, points).topk(6, largest=False).indices[:, 1:] for points in (logits, plane)]
    kept = sum(len(set(a.tolist()) & set(b.tolist())) for a, b in zip(*nearest, strict=True))
    assert kept > 3 * N * 25 / (N - 1)  # 25 / (N - 1) each by chance


def test_the_same_rows_again(place: Path, marks: Marks, tmp_path: Path) -> None:
    shutil.copytree(place / "runs", tmp_path / "runs")
    again = networks.filled(tmp_path / "other")
    shutil.rmtree(tmp_path / "other")
    torch.manual_seed(5)
    assert VULNERABLE.data(networks.material(again, tmp_path, images=N)) == marks


def dots(axes: Any, marker: str) -> list[made.Pair]:
    (line,) = (line for line in axes.get_lines() if line.get_marker() == marker)
    return sorted(made.rounded(zip(line.get_xdata(), line.get_ydata(), strict=True)))


def test_dots_are_the_rows(marks: Marks) -> None:
    pairs = [("steps_to_flip", "v_pgd"), ("steps_to_flip", "v_cw"), ("v_pgd", "v_cw")]
    with made.drawn(VULNERABLE, marks) as canvas:
        assert len(canvas.axes) == 6
        panels = [(row, pair) for row in ("sat", "gairat") for pair in pairs]
        for axes, (row, (first, second)) in zip(canvas.axes, panels, strict=True):
            held = marks.where(row=row)
            for marker, tops in (("o", (1, 1)), ("^", (1, 0)), ("v", (0, 1)), (".", (0, 0))):
                own = [mark for mark in held if (mark[f"top_{first}"], mark[f"top_{second}"]) == tops]
                assert dots(axes, marker) == sorted(made.rounded((mark["x"], mark["y"]) for mark in own))
            both, either = shared(held, first, second)
            assert axes.get_xlabel() == f"in both: {both} of {either} ({100 * both / either:.0f} %)"


def shared(held: list[Mapping[str, Value]], first: str, second: str) -> tuple[int, int]:
    one, other = ({mark["image"] for mark in held if mark[f"top_{view}"]} for view in (first, second))
    return len(one & other), len(one | other)


def refused(store: Any, place: Path, **choices: Any) -> str:
    with pytest.raises(HarnessError) as error:
        VULNERABLE.data(networks.material(store, place, **choices))
    return str(error.value)


def test_what_is_refused_says_what_to_do(place: Path, tmp_path: Path) -> None:
    store = networks.filled(tmp_path, methods=["sat"])
    command = "harness run gairat --dataset digits --arch smallcnn --set smallcnn.width=4"
    assert f"no network trained with gairat is among the runs that match; train it with the command `{command}`" in (
        refused(store, tmp_path, images=N)
    )
    store = networks.filled(tmp_path / "both")
    assert "--images 2000 is refused: there are 1437 train images" in refused(store, tmp_path / "both", images=2000)
    assert "there are 360 test images" in refused(store, tmp_path / "both", images=361, part="test")
    assert "t-SNE needs more than 30 images, and there are 30" in refused(store, tmp_path / "both", images=30)
    assert "run 1 (sat-smallcnn-digits-s0) has no checkpoint 'early'; give --checkpoint last" in refused(
        store, tmp_path / "both", images=N, checkpoint="early"
    )
    shutil.rmtree(tmp_path / "both" / "runs")
    assert "give the --runs-dir that holds them" in refused(store, tmp_path / "both", images=N)


def test_weights_that_are_not_those_of_the_store_are_refused(tmp_path: Path) -> None:
    store = networks.filled(tmp_path)
    first, second = sorted((tmp_path / "runs").rglob("*.safetensors"))
    second.write_bytes(first.read_bytes())
    assert "are not those that the store recorded" in refused(store, tmp_path, images=N)


def test_a_network_that_tells_no_images_apart_is_refused() -> None:
    """Of equal logits scikit-learn makes NaN, and may crash."""
    with pytest.raises(HarnessError, match="gives all images the same logits"):
        embedded(torch.ones(40, 10, dtype=torch.float64))

"""Erased, moved, and mixed images against slow loops over pixels; and which operations a policy draws."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms.v2 import functional

from harness.errors import SettingError
from harness.methods.sat import SAT
from harness.methods.trades import TRADES
from harness.plugin.dataset import Augmentation, Dataset, Split
from harness.plugin.method import Method, Mixture, Smoothing, Step
from harness.protocols.images_protocol import ImagesProtocol
from harness.training.augmentations import (
    augmented,
    color_shape,
    crop_shift,
    mixed,
    refuse_augment,
    refuse_mixed_labels,
)
from harness.training.erasing import cutmix, cutout, erase, rectangles
from tests.harness.training.given import dataset
from tests.tiny import draws, make_batch, make_step, make_tiny_model

N, SIZE = 200, 16


def images(low: int = 1) -> Tensor:
    return torch.randint(low, 256, (N, 3, SIZE, SIZE), generator=draws(5), dtype=torch.uint8)


def boxes(black: Tensor) -> list[tuple[int, int, int, int]]:
    """Top, left, height, and width of what is black in each image, which must be one whole rectangle; or zeros."""
    found = []
    for one in black:
        rows, columns = one.any(1).nonzero()[:, 0], one.any(0).nonzero()[:, 0]
        if not len(rows):
            found.append((0, 0, 0, 0))
            continue
        top, left = int(rows[0]), int(columns[0])
        height, width = int(rows[-1]) + 1 - top, int(columns[-1]) + 1 - left
        assert int(one.sum()) == height * width
        found.append((top, left, height, width))
    return found


def changed_to_black(before: Tensor, after: Tensor) -> Tensor:
    """``(n, height, width)`` bool; each other pixel, and each channel of it, must be as before."""
    black = (after == 0).all(1)
    assert torch.equal(torch.where(black[:, None], before, after), before)
    return black


def test_rectangles_are_cut_off_at_the_borders() -> None:
    edges = [torch.tensor(each) for each in ([-2, 1], [1, 3], [4, 1], [2, 9])]
    first, second = rectangles(*edges, (3, 4))[:, 0].int().tolist()  # type: ignore[call-arg, arg-type]
    assert first == [[0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
    assert second == [[0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0]]


def test_cutout_blackens_a_square_around_any_pixel() -> None:
    before = images()
    found = boxes(changed_to_black(before, cutout(before, 6, draws(1))))
    row, column = (torch.randint(0, SIZE, (N,), generator=g).tolist() for g in [draws(1)] * 2)
    for (top, left, height, width), y, x in zip(found, row, column, strict=True):
        assert (top, left) == (max(0, y - 3), max(0, x - 3))
        assert (top + height, left + width) == (min(SIZE, y + 3), min(SIZE, x + 3))


def test_random_erasing_keeps_to_its_areas_and_ratios() -> None:
    before = images()
    found = [box for box in boxes(changed_to_black(before, erase(before, 0.5, 0.33, draws(2)))) if box[2]]
    assert 0.5 * N - 5 * math.sqrt(N) / 2 < len(found) < 0.5 * N + 5 * math.sqrt(N) / 2
    for _, _, height, width in found:  # rounding moves each side by half a pixel at most
        assert (height - 0.5) * (width - 0.5) <= 0.33 * SIZE**2
        assert (height + 0.5) * (width + 0.5) >= 0.02 * SIZE**2
        assert (height - 0.5) / (width + 0.5) <= 3.3
        assert (height + 0.5) / (width - 0.5) >= 0.3
    assert len({box[:2] for box in found}) > 30
    higher, wider = (sum(one > other for *_, one, other in boxes) for boxes in (found, [box[::-1] for box in found]))
    assert abs(higher - wider) < 3 * math.sqrt(len(found))  # a ratio is as likely as its reciprocal
    assert torch.equal(erase(before, 1e-9, 0.33, draws(2)), before)


def test_a_shifted_crop_is_a_part_of_the_image_somewhere_in_black() -> None:
    before, strengths, lines = images(), set(), set()
    after = crop_shift(before, 6, draws(3))
    for old, new in zip(before, after, strict=True):
        ((top, left, height, width),) = boxes((new != 0).any(0)[None])
        cropped = (SIZE - height) + (SIZE - width)
        assert cropped <= 6
        strengths.add(cropped)
        lines.add((SIZE - height, SIZE - width))
        part = new[:, top : top + height, left : left + width]
        places = [(y, x) for y in range(SIZE - height + 1) for x in range(SIZE - width + 1)]
        assert any(torch.equal(old[:, y : y + height, x : x + width], part) for y, x in places)
    assert strengths == set(range(7))
    assert {(0, 1), (0, 2), (0, 3), (1, 0), (2, 0), (3, 0)} <= lines  # all of them may be columns, or rows
    assert torch.equal(crop_shift(before, 0, draws(3)), before)


class TestCutMix:
    def test_the_share_is_that_of_the_pixels(self) -> None:
        x = torch.rand(8, 3, SIZE, SIZE, generator=draws(4))
        shares = []
        for seed in range(40):
            out, other, share = cutmix(x, 0.7, draws(seed))
            assert sorted(other.tolist()) == list(range(8))
            ours = (out == x).all(1)
            assert torch.equal(out, torch.where(ours[:, None], x, x[other]))
            moved = other != torch.arange(8)
            assert torch.allclose(ours[moved].double().mean((1, 2)), share.double())
            shares.append(float(share))
            ((top, left, height, width),) = boxes(~ours[moved][:1])
            for start, side in ((top, height), (left, width)):
                assert side % 2 == 0 or start == 0 or start + side == SIZE  # half of it on either side, unless cut off
        assert 0.4 < sum(share < 1 for share in shares) / 40 < 0.95
        assert min(shares) < 0.4

    @pytest.mark.parametrize("smoothing", [None, Smoothing(0.2)])
    def test_the_loss_is_that_of_soft_labels(self, smoothing: Smoothing | None) -> None:
        model, (x, y) = make_tiny_model(), make_batch()
        other, share = y.roll(1), torch.tensor(0.3)
        step = make_step(model, x, y)
        step = Step(**vars(step) | {"mixture": Mixture(other, share), "smoothing": smoothing})
        logits = torch.randn(12, 5, generator=draws(6), requires_grad=True)
        soft = 0.3 * F.one_hot(y, 5) + 0.7 * F.one_hot(other, 5)
        soft = soft if smoothing is None else 0.8 * soft + 0.2 / 5
        slow = -(soft * logits.log_softmax(1)).sum(1)
        fast = step.cross_entropy(logits)
        assert torch.allclose(fast, slow, atol=1e-6)
        ours, theirs = (torch.autograd.grad(losses.sum(), logits)[0] for losses in (fast, slow))
        assert torch.allclose(ours, theirs, atol=1e-6)

    def test_without_it_nothing_is_drawn(self) -> None:
        x, y = make_batch()
        generator = draws(1)
        assert mixed(x, y, ImagesProtocol(augment=("cutout",)), generator) == (x, None)
        assert torch.equal(generator.get_state(), draws(1).get_state())


@pytest.mark.parametrize(("bias", "share", "most", "sheared"), [("color", 0.125, 10, 0.15), ("shape", 0.3, 30, 0.35)])
def test_a_policy_draws_its_operations_as_often_and_as_strong_as_it_says(
    bias: str, share: float, most: int, sheared: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rotations are whole numbers of degrees, and shears angles in radians, as in the released code."""
    made = Counter[str]()
    angles, shears = [], []

    def recording(name: str) -> Any:
        def operation(image: Tensor, strength: float = 0.0, **how: Any) -> Tensor:
            made[name] += 1
            if name == "rotate":
                angles.append(strength)
            if name == "affine":
                none, angle = sorted(map(abs, how["shear"]))
                assert none == 0
                shears.append(math.radians(angle))
            return image

        return operation

    names = ("adjust_saturation", "adjust_brightness", "adjust_contrast", "adjust_sharpness")
    for name in (*names, "autocontrast", "equalize", "rotate", "affine"):
        monkeypatch.setattr(functional, name, recording(name))
    n = 4000
    color_shape(torch.zeros(n, 1, 1, 1, dtype=torch.uint8), bias, draws(8))
    expected = dict.fromkeys((*names, "autocontrast", "equalize"), 0.125 if bias == "color" else 0.08)
    if bias == "shape":
        expected |= {"adjust_contrast": 0.04, "autocontrast": 0.04}
    for name, chance in (expected | {"rotate": share, "affine": share}).items():
        assert abs(made[name] - n * chance) < 5 * math.sqrt(n * chance * (1 - chance)), name
    assert set(angles) == {*range(-most, 0), *range(1, most + 1)}
    assert 0.05 <= min(shears) < 0.06
    assert sheared - 0.01 < max(shears) < sheared


@pytest.mark.parametrize("name", ["autoaugment", "idbh-weak", "idbh-strong", "idbh-svhn"])
def test_a_policy_gives_the_same_images_from_the_same_draws_and_leaves_the_global_ones(name: Any) -> None:
    before, protocol = images()[:20], ImagesProtocol(augment=(name,))
    state = torch.get_rng_state()
    first, again, other = (augmented(before, Augmentation(1, True), protocol, draws(seed)) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert first.dtype == torch.uint8
    assert first.shape == before.shape
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_policy_needs_photographs() -> None:
    data = dataset()
    refuse_augment(ImagesProtocol(augment=("cutout", "cutmix")), data)
    with pytest.raises(SettingError, match=r"augment=autoaugment is refused for noise: .*these are 8x8 with 256"):
        refuse_augment(ImagesProtocol(augment=("autoaugment",)), data)
    large = Split(torch.zeros(2, 3, 16, 16, dtype=torch.uint8), torch.zeros(2, dtype=torch.int64))
    few = Dataset("few", large, large, ("a", "b"), levels=16)
    with pytest.raises(SettingError, match="with 17 levels, in 3 channel"):
        refuse_augment(ImagesProtocol(augment=("idbh-weak",)), few)


def test_mixed_labels_need_a_method_that_says_it_takes_them_of_its_own_loss() -> None:
    both = ImagesProtocol(augment=("cutmix",))
    refuse_mixed_labels(both, {"trades": TRADES()})
    refuse_mixed_labels(ImagesProtocol(), {"sat": SAT()})

    class Own(TRADES):
        """Has another loss, and says nothing of labels."""

    methods: dict[str, Method] = {"sat": SAT(), "trades": TRADES(), "own": Own()}
    with pytest.raises(SettingError, match=r"^train.augment=cutmix is refused for sat, own: a mixed image"):
        refuse_mixed_labels(both, methods)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"augment": "cutmix,cutout"}, "write cutout,cutmix, each once"),
        ({"augment": "cutout,cutout"}, "write cutout, each once"),
        ({"augment": "autoaugment,idbh-weak"}, "name one of autoaugment and idbh"),
        ({"cutout_length": 8}, "cutout_length is refused without augment=cutout"),
        ({"cutmix_probability": 1}, "cutmix_probability is refused without augment=cutmix"),
        ({"extra_fraction": 0.5}, "extra_fraction is refused without extra"),
        ({"augment": "rotate"}, "augment=rotate is refused: it should be"),
    ],
)
def test_what_is_not_one_training_is_refused(values: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingError) as caught:
        ImagesProtocol.from_mapping(values)
    assert said in str(caught.value)

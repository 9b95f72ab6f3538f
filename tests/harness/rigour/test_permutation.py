"""Answers that are right under another order of classes are told apart from answers that are wrong, or no answers."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.rigour.check import Outcome
from harness.rigour.classes import best_order, classes_permuted
from harness.rigour.subject import Subject
from harness.runtime.isolation import isolated
from tests.tiny import draws, make_threat

CPU = torch.device("cpu")


class Answers(nn.Module):
    """Gives the answer that is written in an image's only pixel."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes

    def forward(self, x: Tensor) -> Tensor:
        return F.one_hot((x.flatten() * 255).round().long(), self.classes).float()


def judged(predicted: Tensor, y: Tensor, classes: int, names: tuple[str, ...] = ()) -> Outcome:
    model = Answers(classes)
    with isolated(model, CPU, 0) as isolation:
        x = (predicted / 255)[:, None, None, None]
        return classes_permuted(Subject(model, x, y, make_threat(), 0, len(y), isolation, names))


def even(classes: int, n: int = 500) -> Tensor:
    return torch.arange(n) % classes


UNEQUAL = torch.repeat_interleave(torch.arange(4), torch.tensor([300, 150, 40, 10]))
FLAT: dict[str, tuple[int, Callable[[torch.Generator], Tensor], Tensor]] = {
    "random, 2 classes": (2, lambda g: torch.randint(2, (500,), generator=g), even(2)),
    "random, 10 classes": (10, lambda g: torch.randint(10, (500,), generator=g), even(10)),
    "random, 100 classes": (100, lambda g: torch.randint(100, (500,), generator=g), even(100)),
    "a constant answer": (10, lambda _g: torch.full((500,), 3), even(10)),
    "a constant answer, a rare class": (4, lambda _g: torch.full((500,), 3), UNEQUAL),
    "random among rare classes": (4, lambda g: torch.randint(2, 4, (500,), generator=g), UNEQUAL),
}


@pytest.mark.parametrize("name", FLAT)
def test_answers_that_say_nothing_of_the_image_raise_nothing(name: str) -> None:
    classes, answer, y = FLAT[name]
    flagged = [judged(answer(draws(seed)), y, classes).status for seed in range(40)].count("flagged")
    assert flagged <= 1  # by chance one in 700


def test_two_classes_that_are_confused_as_often_as_not_raise_nothing() -> None:
    y = even(10)
    pair = (y == 3) | (y == 8)
    for seed in range(20):
        coin = torch.rand(500, generator=draws(seed)) < 0.5
        assert judged(torch.where(pair & coin, 11 - y, y), y, 10).status == "passed"


def test_a_sound_network_gains_nothing() -> None:
    y = even(10)
    found = judged(torch.where(torch.rand(500, generator=draws()) < 0.4, (y * 7 + 1) % 10, y), y, 10)
    assert (found.status, found.value) == ("passed", 0.0)


def test_folders_that_are_numbered_and_sorted_by_letters() -> None:
    names = tuple(sorted(map(str, range(12))))  # 0, 1, 10, 11, 2, ...
    level = torch.arange(12).repeat_interleave(6)
    y = torch.tensor([names.index(str(number)) for number in level.tolist()])
    found = judged(level, y, 12, names)  # whose output c is level c
    assert found.status == "flagged"
    assert found.value == pytest.approx(10 / 12)
    assert found.details["order"] == [names.index(str(number)) for number in range(12)]
    assert found.reason.startswith("right: 16.7 % in this order of classes, 100.0 % under another order: ")
    assert "what the network calls '10' is labelled '2', what the network calls '11' is labelled '3'" in found.reason
    assert ", and 7 more: " in found.reason


@pytest.mark.parametrize("classes", [2, 10, 100])
def test_two_classes_exchanged_and_labels_shifted_by_one_are_flagged(classes: int) -> None:
    y = even(classes)
    exchanged = torch.where(y == 0, 1, torch.where(y == 1, 0, y))
    found = judged(exchanged, y, classes)
    assert found.status == "flagged"
    assert found.value == pytest.approx(2 / classes)
    assert "what the network calls 0 is labelled 1, what the network calls 1 is labelled 0: " in found.reason
    right_at_times = torch.where(torch.rand(500, generator=draws()) < 0.5, (y + 1) % classes, 0)
    assert judged(right_at_times, y, classes).status == "flagged"


def test_the_best_order_is_that_of_all_orders() -> None:
    predicted, y = (torch.randint(5, (60,), generator=draws(seed)) for seed in (1, 2))
    counts = torch.bincount(y, minlength=5)

    def shares(order: tuple[int, ...]) -> float:
        right = torch.tensor(order)[predicted] == y
        return sum(float(right[y == c].sum()) / int(counts[c]) for c in range(5))

    best = max(shares(order) for order in permutations(range(5)))
    assert shares(tuple(best_order(predicted, y, 5).tolist())) == pytest.approx(best)


def test_a_class_that_is_never_answered_stays_in_its_place() -> None:
    assert best_order(torch.tensor([0, 0, 2]), torch.tensor([0, 1, 2]), 4).tolist() == [0, 1, 2, 3]

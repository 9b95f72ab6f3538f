"""Each broken model raises its flag and no false one; networks trained here raise none that is false."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from harness.events import Finding
from harness.methods.sat import SAT
from harness.methods.standard import Standard
from harness.methods.trades import TRADES
from harness.plugin.dataset import Dataset
from harness.plugin.method import Method
from harness.rigour.checks import examine_model
from tests import broken_models as bank
from tests.harness.rigour.trained import THREAT, margin_breaks_more, trained
from tests.harness.rigour.trained import digits as digits_of_the_tests


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return digits_of_the_tests()


@pytest.fixture(scope="module")
def images(digits: Dataset) -> tuple[Tensor, Tensor]:
    return digits.pixels(digits.test.images), digits.test.labels


@pytest.fixture(scope="module")
def sound(digits: Dataset, tmp_path_factory: pytest.TempPathFactory) -> nn.Module:
    """A network of adversarial training, which each broken model is made from."""
    return trained(SAT(), "sat", digits, tmp_path_factory.mktemp("sat"))


def third(images: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Every third one: enough for a flag that must be raised."""
    return images[0][::3], images[1][::3]


@pytest.fixture(scope="module")
def own(sound: nn.Module, images: tuple[Tensor, Tensor]) -> set[str]:
    """What is true of the sound network itself, and so of what is made from it: after five epochs logits are small.

    An attack that no scale of the logits changes says whether they mislead PGD. It depends on the processor's rounding.
    """
    return {"H"} if margin_breaks_more(sound, *third(images)) > 0.1 else set()


def marks(findings: list[Finding]) -> str:
    return "".join(sorted(finding.mark for finding in findings))


NO_GRADIENT = "EUZ"  # and so PGD at radius 1/2 fails, and is no better than noise
CHANCE = "BDEGKNOPU"  # what comparing attacks on a network that draws its answers may show; all of it is true


@pytest.mark.parametrize(
    ("break_it", "must", "may"),
    [
        (bank.quantised, NO_GRADIENT, ""),
        (bank.rounded_features, NO_GRADIENT, ""),
        (bank.detached, NO_GRADIENT, ""),
        (bank.scaled, NO_GRADIENT + "H", ""),
        (bank.softmax, "L", ""),
        (bank.random_resize, "FR", CHANCE),
        (bank.functional_dropout, "FR", CHANCE),
        (bank.dropout_left_on, "FRT", CHANCE),
        (bank.batch_statistics, "RT", CHANCE),
        (bank.constant, "CEZ", ""),
        (bank.not_a_number, "L", ""),
        (bank.seeds_torch, "F", ""),
        (bank.draws_from_numpy, "FR", CHANCE),
        (bank.changes_dtype, "F", ""),
        (bank.exchanged, "J", ""),
        (bank.shifted, "J", "BEU"),
        (bank.five_outputs, "L", ""),
        (bank.a_map, "L", ""),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_broken_model_raises_its_flag_and_no_false_one(
    break_it: Callable[[nn.Module], nn.Module],
    must: str,
    may: str,
    sound: nn.Module,
    own: set[str],
    images: tuple[Tensor, Tensor],
) -> None:
    raised = set(marks(examine_model(break_it(sound), *third(images), THREAT)))
    assert set(must) <= raised
    assert raised <= set(must + may) | own


@pytest.mark.parametrize("method", [SAT(), TRADES(), Standard()], ids=lambda m: type(m).__name__)
def test_networks_trained_here_raise_none_that_is_false(
    method: Method, sound: nn.Module, digits: Dataset, images: tuple[Tensor, Tensor], tmp_path: Path
) -> None:
    model = sound if isinstance(method, SAT) else trained(method, type(method).__name__.lower(), digits, tmp_path)
    findings = examine_model(model, *images, THREAT)
    raised = [finding.check for finding in findings if finding.status == "flagged"]
    if raised:  # after five epochs logits are small, and PGD is misled: an attack that no scale changes says so, too
        assert raised == ["logit-scale"]
        assert margin_breaks_more(model, *images) > 0.1
    curve = next(f for f in findings if f.check == "robust-everywhere").details
    assert curve["accuracy"][0] > 0.8  # it learned something, so that there is something to raise a flag about
    assert curve["accuracy"][-1] == 0


def test_why_is_told_in_one_line(sound: nn.Module, images: tuple[Tensor, Tensor]) -> None:
    reasons = {f.check: f.reason for f in examine_model(bank.scaled(sound), *third(images), THREAT)}
    assert reasons["zero-gradient"].startswith("no gradient on 100.0 % (cross-entropy), 0.0 % (margin)")
    assert reasons["zero-gradient"].endswith("the cross-entropy saturates, so that PGD on it is blind")
    reasons = {f.check: f.reason for f in examine_model(bank.dropout_left_on(sound), *third(images), THREAT)}
    assert reasons["random-forward"].endswith("attacks must average over it (EOT), and these do not")
    assert reasons["training-mode"].startswith("in training mode after .eval(): 0:")
    assert reasons["global-state"].startswith("a pass draws from torch's generator, which the whole process shares")
    reasons = {f.check: f.reason for f in examine_model(bank.seeds_torch(sound), *third(images), THREAT)}
    assert reasons["global-state"].startswith("a pass sets torch's generator, which the whole process shares")
    names = ("ant", "bee", "cat", "dog", "eel", "f\x1b[31mox", "goat", "hen", "ibis", "jay")
    found = {f.check: f for f in examine_model(bank.exchanged(sound), *third(images), THREAT, names=names)}
    told = found["classes-permuted"].reason
    assert "what the network calls 'f\\x1b[31mox' is labelled 'goat'" in told
    assert "what the network calls 'goat' is labelled 'f\\x1b[31mox'" in told
    assert "what the network calls 'ant'" not in told
    assert found["classes-permuted"].details["order"] == [0, 1, 2, 3, 4, 6, 5, 7, 8, 9]
    assert not any("\n" in reason for reason in reasons.values())


def test_statistics_that_a_pass_moved_are_put_back(sound: nn.Module, images: tuple[Tensor, Tensor]) -> None:
    model = bank.batch_statistics(sound).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    findings = examine_model(model, *third(images), THREAT)
    found = {finding.check: finding for finding in findings}
    assert found["training-mode"].details["changed"][0] == "0.running_mean"
    assert found["random-forward"].details["equal_passes"] == 0
    assert found["random-forward"].reason.startswith("in other batches logits differ by ")
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert [module.training for module in model.modules()] == modes

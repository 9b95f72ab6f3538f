"""Preprocessing inside the model: closed forms of its outputs and input gradients, and what is refused."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from harness.errors import HarnessError, SettingError
from harness.targets.prepared import Prepared
from harness.targets.preprocessing import Preprocessing, merge
from tests.tiny import draws, make_threat


def linear(weight: list[list[float]]) -> nn.Module:
    """Logits W x of images of 3x1x1."""
    layer = nn.Linear(3, len(weight), bias=False)
    layer.weight.data = torch.tensor(weight)
    return nn.Sequential(nn.Flatten(), layer)


class TestMerge:
    ONE = Preprocessing(mean=(0.5,), std=(0.25,))
    THREE = Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))

    @pytest.mark.parametrize("asked", [Preprocessing(), ONE, THREE], ids=["nothing", "one value", "one a channel"])
    @pytest.mark.parametrize("found", [ONE, THREE], ids=["one value", "one a channel"])
    def test_one_value_is_that_of_all_channels(self, asked: Preprocessing, found: Preprocessing) -> None:
        assert merge(asked, found) == found

    def test_what_the_file_does_not_say_is_as_asked_for(self) -> None:
        asked = Preprocessing(mean=(0.5,), std=(0.25,), outputs="probabilities")
        assert merge(asked, None) == asked
        assert merge(asked, self.ONE) == asked

    @pytest.mark.parametrize(
        ("mean", "std"),
        [((0.5, 0.5, 0.501), (0.25,) * 3), ((0.51,), (0.25,)), ((0.5,), (0.2,))],
    )
    def test_a_contradiction_is_refused(self, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        with pytest.raises(SettingError, match="contradicts the normalisation in the file"):
            merge(Preprocessing(mean=mean, std=std), self.THREE)

    def test_rounding_is_no_contradiction(self) -> None:
        assert merge(Preprocessing(mean=(0.50004,), std=(0.25,)), self.ONE) == self.ONE


class TestNormalisation:
    WEIGHT = ((1.0, -2.0, 4.0), (0.5, 0.0, -1.0))
    MEAN, STD = (0.5, 0.4, 0.3), (0.25, 0.2, 0.5)

    def model(self) -> Prepared:
        return Prepared(linear([list(row) for row in self.WEIGHT]), Preprocessing(mean=self.MEAN, std=self.STD))

    def test_outputs_by_hand(self) -> None:
        x = torch.tensor([0.75, 0.2, 0.8]).view(1, 3, 1, 1)
        # normalised: 0.25/0.25 = 1, -0.2/0.2 = -1, 0.5/0.5 = 1; logits 1 + 2 + 4 and 0.5 - 1
        torch.testing.assert_close(self.model()(x), torch.tensor([[7.0, -0.5]]))

    def test_epsilon_is_on_the_pixel_scale(self) -> None:
        # a linear margin falls by epsilon times the 1-norm of its input gradient, and that gradient is w / std
        difference = torch.tensor(self.WEIGHT[0]) - torch.tensor(self.WEIGHT[1])
        fall = 8 / 255 * float((difference.abs() / torch.tensor(self.STD)).sum())
        x = torch.full((1, 3, 1, 1), 0.5, requires_grad=True)
        before = self.model()(x)
        torch.autograd.backward(before[0, 0] - before[0, 1])
        assert x.grad is not None
        x_adv = make_threat(epsilon=8 / 255).ball(x.detach()).project(x.detach() - x.grad.sign())
        after = self.model()(x_adv)
        lost = (before[0, 0] - before[0, 1]) - (after[0, 0] - after[0, 1])
        assert float(lost.detach()) == pytest.approx(fall, rel=1e-5)

    def test_one_value_serves_every_channel(self) -> None:
        x = torch.rand(4, 3, 1, 1, generator=draws())
        network = linear([list(row) for row in self.WEIGHT])
        one = Prepared(network, Preprocessing(mean=(0.5,), std=(0.25,)))
        each = Prepared(network, Preprocessing(mean=(0.5,) * 3, std=(0.25,) * 3))
        torch.testing.assert_close(one(x), each(x), rtol=0, atol=0)


class TestProbabilities:
    def model(self) -> Prepared:
        weight = [[1.0, -2.0, 4.0], [0.5, 0.0, -1.0], [0.0, 3.0, 1.0]]
        return Prepared(nn.Sequential(linear(weight), nn.Softmax(1)), Preprocessing(outputs="probabilities"))

    def test_the_softmax_of_the_logarithm_gives_them_back(self) -> None:
        x = torch.rand(5, 3, 1, 1, generator=draws())
        model = self.model()
        torch.testing.assert_close(model(x).softmax(1), model.outputs(x))

    def test_loss_and_gradient_are_those_of_the_logits_before_the_softmax(self) -> None:
        y = torch.tensor([0, 1, 2, 0, 1])
        gradients, losses = [], []
        model = self.model()
        softmax = model.network
        assert isinstance(softmax, nn.Sequential)
        for network in (softmax[0], model):
            x = torch.rand(5, 3, 1, 1, generator=draws()).requires_grad_()
            loss = nn.functional.cross_entropy(network(x), y)
            torch.autograd.backward(loss)
            assert x.grad is not None
            gradients.append(x.grad)
            losses.append(loss)
        torch.testing.assert_close(losses[0], losses[1])
        torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-4, atol=1e-6)

    def test_a_probability_that_underflowed_has_a_finite_logarithm_and_no_gradient(self) -> None:
        model = Prepared(nn.Softmax(1), Preprocessing(outputs="probabilities"))
        x = torch.tensor([[0.0, 200.0]], requires_grad=True)
        logits = model(x)
        assert logits.tolist() == [[pytest.approx(math.log(torch.finfo(torch.float32).tiny)), 0.0]]
        torch.autograd.backward(logits[0, 0])
        assert x.grad is not None
        assert x.grad.tolist() == [[0.0, 0.0]]  # where attacks are blind, as the docstring says


class TestRefused:
    @pytest.mark.parametrize(
        ("values", "told"),
        [
            ({"mean": "0.5"}, "--mean without --std is refused"),
            ({"std": "0.5"}, "--std without --mean is refused"),
            ({"mean": "0.5,0.5", "std": "0.2"}, "--mean has 2 values and --std has 1"),
            ({"mean": "125.3", "std": "63/255"}, "write 125.3/255 rather than 125.3"),
            ({"mean": "0.5", "std": "63"}, "write 63/255 rather than 63"),
            ({"mean": "-0.1", "std": "0.2"}, "--mean -0.1 is refused: it must be in [0, 1]"),
            ({"mean": "0.5", "std": "0"}, "--std 0 is refused: it must be above 0"),
            ({"mean": "nan", "std": "0.2"}, "--mean nan is refused"),
            ({"mean": "0.5", "std": "inf"}, "--std inf is refused"),
            ({"mean": "dark", "std": "0.2"}, "mean=dark is refused"),
            ({"outputs": "softmax"}, "outputs=softmax is refused"),
        ],
        ids=str,
    )
    def test_values(self, values: dict[str, str], told: str) -> None:
        with pytest.raises(HarnessError) as refused:
            Preprocessing.from_mapping(values)
        assert told in str(refused.value)
        assert "\n" not in str(refused.value)

    def test_a_number_of_values_that_is_not_the_channels(self) -> None:
        Preprocessing(mean=(0.5,) * 3, std=(0.5,) * 3).check_channels(3)
        Preprocessing(mean=(0.5,), std=(0.5,)).check_channels(3)
        with pytest.raises(HarnessError, match=r"have 3 values and the images have 1 channel\(s\); give one value"):
            Preprocessing(mean=(0.5,) * 3, std=(0.5,) * 3).check_channels(1)

    def test_texts_and_fractions_are_read(self) -> None:
        read = Preprocessing.from_mapping({"mean": "125.3/255, 0.5,1/2", "std": "0.2,0.2,51/255"})
        assert read.mean == (125.3 / 255, 0.5, 0.5)
        assert read.std == (0.2, 0.2, 0.2)

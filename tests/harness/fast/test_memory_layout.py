"""Weights with channels last: the same values and files, and a resumed training goes on to the bit."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from harness.fast.crafting import crafter_for
from harness.fast.layout import lay_out
from harness.methods.sat import SAT
from harness.networks.smallcnn import SmallCNN
from harness.plugin.method import Method, Step
from harness.plugin.network import Shape
from harness.registry.catalogue import discover
from harness.training.checkpoints import save_weights
from harness.training.loop import Trainer
from tests.harness.fast.networks import Net, images
from tests.harness.training.given import dataset, spec

LAST = torch.channels_last


def smallcnn() -> nn.Module:
    torch.manual_seed(0)
    return SmallCNN(width=4).build(Shape(3, 32, 32, 10))


def gradients(model: nn.Module, x: Tensor) -> list[Tensor]:
    model.zero_grad()
    model.train()(x).square().mean().backward()
    return [p.grad for p in model.parameters() if p.grad is not None]


def test_names_values_and_answers_stay() -> None:
    model, x = smallcnn(), images()
    own = copy.deepcopy(model)
    parameters = [id(p) for p in model.parameters()]
    assert lay_out(model, x)
    assert model[3].weight.is_contiguous(memory_format=LAST)  # type: ignore[index]
    assert not model[3].weight.is_contiguous()  # type: ignore[index]
    assert [id(p) for p in model.parameters()] == parameters
    for (name, value), (own_name, own_value) in zip(model.state_dict().items(), own.state_dict().items(), strict=True):
        assert name == own_name
        assert torch.equal(value, own_value)
    for given, expected in zip(gradients(model, x), gradients(own, x), strict=True):
        assert torch.allclose(given, expected, atol=1e-6)


def test_the_file_of_the_weights_holds_no_layout(tmp_path: Path) -> None:
    model = smallcnn()
    asked = spec(dataset(), 1)
    before = save_weights(tmp_path, "last", model.state_dict(), asked, 1)
    assert lay_out(model, images())
    assert save_weights(tmp_path, "last", model.state_dict(), asked, 1) == before


class Views(Net):
    def features(self, x: Tensor) -> Tensor:
        features = super().features(x)
        return features.view(x.size(0), -1).view(features.shape)


class ViewsInTraining(Net):
    def features(self, x: Tensor) -> Tensor:
        features = super().features(x)
        return features.view(x.size(0), -1).view(features.shape) if self.training else features


class _Straight(torch.autograd.Function):
    """Gives its input; its gradient is flattened by ``view``."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient.view(len(gradient), -1).view(gradient.shape)


class ViewsItsGradient(Net):
    def features(self, x: Tensor) -> Tensor:
        return self.norm(_Straight.apply(self.conv(x)))  # type: ignore[no-any-return]


class Tied(Net):
    """Two parameters in one memory, which a copy would part."""

    def __init__(self) -> None:
        super().__init__()
        self.other = nn.Parameter(self.conv.weight.data)


class NotCopied(Net):
    def __deepcopy__(self, memo: object) -> Net:
        raise RuntimeError("no copies")


@pytest.mark.parametrize("kind", [Views, ViewsInTraining, ViewsItsGradient, Tied, NotCopied])
def test_a_network_that_would_not_do_the_same_keeps_its_layout(kind: type[Net]) -> None:
    model = kind()
    strides = [p.stride() for p in model.parameters()]
    before = torch.get_rng_state()
    assert not lay_out(model, images())
    assert [p.stride() for p in model.parameters()] == strides
    assert (model.training, float(model.count)) == (True, 0)
    assert torch.equal(torch.get_rng_state(), before)


class Orthogonal(SAT):
    """SAT with terms of the flattened weights, and of noise on them."""

    def loss(self, step: Step) -> Tensor:
        weights = [p for p in step.model.parameters() if p.dim() == 4]
        noise = [(weight * torch.randn_like(weight)).sum() for weight in weights]  # drawn in the order of the memory
        norms = [weight.view(len(weight), -1).norm() for weight in weights]
        return super().loss(step) + torch.stack([*noise, *norms]).sum()


def test_a_method_of_somebody_else_gets_the_network_as_it_is(tmp_path: Path) -> None:
    trained = []
    for plain in (True, False):
        directory, data = tmp_path / str(plain), dataset()
        directory.mkdir()
        craft = crafter_for(plain=plain)
        trainer = Trainer(spec(data, 1), 1, Orthogonal(), SmallCNN(width=4), data, directory, craft=craft)
        trainer.begin()
        trainer.train_epoch(1, lambda _event: None)
        trained.append(torch.cat([p.detach().flatten() for p in trainer.model.parameters()]))
    assert torch.allclose(trained[0], trained[1], atol=1e-3)


def shipped_sat() -> Method:
    return cast(Method, discover("methods").get("sat").from_mapping({}))


class Stopped(Exception):
    """The training is stopped here."""


@pytest.mark.parametrize("stop_after", [1, 2])
def test_a_resumed_training_equals_an_uninterrupted_one_to_the_bit(tmp_path: Path, stop_after: int) -> None:
    def trainer(directory: Path) -> Trainer:
        data = dataset()
        return Trainer(
            spec(data, 3), 1, shipped_sat(), SmallCNN(width=4), data, directory, craft=crafter_for(plain=False)
        )

    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    parts.mkdir()
    uninterrupted, seen = trainer(whole), list[object]()
    uninterrupted.fit(lambda _event: None)
    assert uninterrupted.model[3].weight.is_contiguous(memory_format=LAST)  # type: ignore[index]

    def stop(event: object) -> None:
        if type(event).__name__ == "EpochDone":
            seen.append(event)
            if len(seen) == stop_after:
                raise Stopped

    with pytest.raises(Stopped):
        trainer(parts).fit(stop)
    resumed = trainer(parts)
    resumed.fit(lambda _event: None)
    for one, other in zip(uninterrupted.model.state_dict().values(), resumed.model.state_dict().values(), strict=True):
        assert torch.equal(one, other)
    assert (whole / "last.safetensors").read_bytes() == (parts / "last.safetensors").read_bytes()

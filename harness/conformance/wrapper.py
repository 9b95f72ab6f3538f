"""What every wrapper of the update must do; checked around a plain adversarial loss."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from harness.conformance import ContractCheck, require
from harness.conformance.probe import global_generator_untouched, prepared, probe_step, resumed
from harness.plugin.adversary import CrossEntropy
from harness.plugin.method import Step
from harness.plugin.wrapper import Wrapper
from harness.training.memory import unsavable
from harness.training.wrapped import wrapped_backward


def _loss(step: Step) -> Tensor:
    variant = step.perturb(CrossEntropy())
    return step.cross_entropy(step.model(variant.x)).mean()


def _update(wrapper: Wrapper, model: nn.Module) -> Tensor:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    optimizer.zero_grad()
    value = wrapped_backward([wrapper])(probe_step(model), _loss)
    optimizer.step()
    wrapper.after(model)
    return value


def gradients(wrapper: Wrapper) -> None:
    made, model = prepared(wrapper)
    before = copy.deepcopy(model)
    value = wrapped_backward([made])(probe_step(model), _loss)
    scalar = isinstance(value, Tensor) and value.shape == () and not value.requires_grad
    require(scalar, "backward must return the loss, detached")
    for (name, parameter), old in zip(model.named_parameters(), before.parameters(), strict=True):
        finite = parameter.grad is not None and bool(parameter.grad.isfinite().all())
        require(finite, f"backward leaves no finite gradient in {name}")
        require(torch.equal(parameter, old), f"backward changed {name}: restore the weights before the optimiser steps")


def publishes(wrapper: Wrapper) -> None:
    made, model = prepared(wrapper)
    _update(made, model)
    published = made.published(model.state_dict())
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    require({n: t.shape for n, t in published.items()} == shapes, "published weights have other names or shapes")


def repeatable(wrapper: Wrapper) -> None:
    results = []
    for _ in range(2):
        made, model = prepared(wrapper)
        with global_generator_untouched():
            _update(made, model)
        results.append(made.published(model.state_dict()))
    same = all(torch.equal(results[0][name], results[1][name]) for name in results[0])
    require(same, "equal updates gave different weights")


def memory(wrapper: Wrapper) -> None:
    made, model = prepared(wrapper)
    _update(made, model)
    problem = unsavable(made)
    require(problem is None, str(problem))
    other, other_model = resumed(made, model)
    for one, network in ((made, model), (other, other_model)):
        _update(one, network)
    ours, theirs = made.published(model.state_dict()), other.published(other_model.state_dict())
    same = all(torch.equal(ours[name], theirs[name]) for name in ours)
    require(same, "after a save and a load it continues differently: keep what it remembers in self.memory")


CHECKS: dict[str, ContractCheck] = {
    "it leaves gradients, and weights where they were": gradients,
    "it publishes weights of the network": publishes,
    "equal updates give equal weights": repeatable,
    "its memory survives a save and a load": memory,
}

"""Wrappers of the update: AWP by a slow formula, EMA by hand, both composed and resumed to the last bit."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.errors import HarnessError, PluginFault
from harness.events import CheckpointDone, EpochDone, Event
from harness.methods.lrat import LRAT
from harness.methods.n_fgsm import NFGSM
from harness.methods.sat import SAT
from harness.networks.smallcnn import SmallCNN
from harness.plugin.adversary import CrossEntropy
from harness.plugin.method import Method, Points, Step
from harness.plugin.wrapper import Backward, Loss, Wrapper
from harness.registry.catalogue import discover
from harness.training.checkpoints import load_weights
from harness.training.given_networks import give_stand_ins
from harness.training.loop import Trainer
from harness.training.weights_place import weights_file
from harness.training.wrapped import wrapped_backward
from harness.wrappers.awp import AWP
from harness.wrappers.ema import EMA
from harness.wrappers.label_smoothing import LabelSmoothing
from harness.wrappers.sam import SAM
from harness.wrappers.swa import SWA
from tests.harness.training.given import dataset, spec
from tests.tiny import make_batch, make_step, make_tiny_model

WRAPPERS = {name: found.cls for name, found in discover("wrappers").found.items()}


def gradients(wrappers: Sequence[Wrapper], method: Method, model: nn.Module, step: Step) -> tuple[Tensor, list[Tensor]]:
    loss = wrapped_backward(wrappers)(step, method.loss)
    return loss, [cast(Tensor, parameter.grad) for parameter in model.parameters()]


@pytest.mark.parametrize("method", [SAT(), LRAT()], ids=["sat", "lrat"])
def test_awp_of_length_zero_is_the_plain_update_to_the_last_bit(method: Method) -> None:
    x, y = make_batch()
    plain, wrapped = make_tiny_model(), make_tiny_model()
    expected = gradients([], method, plain, make_step(plain, x, y))
    ours = gradients([AWP(gamma=0.0)], method, wrapped, make_step(wrapped, x, y))
    assert torch.equal(ours[0], expected[0])
    assert all(torch.equal(a, b) for a, b in zip(ours[1], expected[1], strict=True))
    for (name, a), b in zip(wrapped.state_dict().items(), plain.state_dict().values(), strict=True):
        assert torch.equal(a, b), name  # batch-norm's statistics moved once


@pytest.mark.parametrize("frozen", [(), ("0.weight", "0.bias"), ("4.weight",)], ids=str)
def test_awp_is_the_gradient_at_the_papers_perturbed_weights(frozen: tuple[str, ...]) -> None:
    model, (x, y) = make_tiny_model(1, dtype=torch.float64), make_batch(seed=1)
    for name in frozen:
        model.get_parameter(name).requires_grad_(False)
    x, slow = x.double(), copy.deepcopy(model)
    before = copy.deepcopy(model.state_dict())
    _, ours = gradients([AWP(gamma=0.05)], SAT(), model, make_step(model, x, y))

    step = make_step(slow, x, y)
    x_adv = step.perturb(CrossEntropy()).x
    probe = copy.deepcopy(slow)
    F.cross_entropy(probe(x_adv), y).backward()  # type: ignore[no-untyped-call]
    with torch.no_grad():
        for layer, direction in zip(slow.parameters(), probe.parameters(), strict=True):
            if layer.dim() > 1 and layer.requires_grad:
                assert direction.grad is not None
                layer.add_(0.05 * layer.norm() / direction.grad.norm() * direction.grad)
    F.cross_entropy(slow(x_adv), y).backward()  # type: ignore[no-untyped-call]
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == list(frozen)
    for a, parameter in zip(ours, slow.parameters(), strict=True):
        torch.testing.assert_close(a, parameter.grad, rtol=1e-9, atol=1e-12)
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, before[name])  # put back to the last bit


def test_awp_leaves_a_layer_alone_that_the_loss_does_not_use() -> None:
    model, more, (x, y) = make_tiny_model(), make_tiny_model(), make_batch()
    more.unused = nn.Linear(3, 3)
    more.forward = lambda x: nn.Sequential(*list(more)[:5])(x)  # type: ignore[method-assign]
    expected = gradients([AWP()], SAT(), model, make_step(model, x, y))
    loss, found = gradients([AWP()], SAT(), more, make_step(more, x, y))
    assert torch.equal(loss, expected[0])
    assert all(torch.equal(a, b) for a, b in zip(found[:6], expected[1], strict=True))
    assert found[6:] == [None, None]


def test_awp_refuses_a_network_of_which_nothing_can_be_perturbed() -> None:
    model, (x, y) = make_tiny_model(), make_batch()
    model[0].weight.requires_grad_(False)
    model[4].weight.requires_grad_(False)
    with pytest.raises(PluginFault, match=r"'awp' finds nothing to perturb: .*; train it without --wrap awp"):
        gradients([AWP()], SAT(), model, make_step(model, x, y))
    gradients([AWP(warm_up=1.0)], SAT(), model, make_step(model, x, y))  # it never begins


def test_awp_waits_for_its_warm_up_and_crafts_once() -> None:
    model, (x, y) = make_tiny_model(), make_batch()
    passes: list[int] = []
    model.register_forward_pre_hook(lambda _model, inputs: passes.append(len(inputs[0])))
    gradients([AWP(warm_up=0.5)], SAT(), model, make_step(model, x, y, progress=0.4))
    assert len(passes) == 5 + 1
    gradients([AWP(warm_up=0.5)], SAT(), model, make_step(model, x, y, progress=0.5))
    assert len(passes) == 6 + 5 + 2  # the second loss crafts nothing


def test_a_wrapped_method_logs_once() -> None:
    logged: list[str] = []
    model, (x, y) = make_tiny_model(), make_batch()
    step = make_step(model, x, y, log=lambda name, _value: logged.append(name))
    gradients([AWP()], LRAT(), model, step)
    assert len(logged) == len(set(logged)) > 0


def test_ema_by_hand() -> None:
    model = nn.Linear(1, 1, bias=False)
    ema = EMA(decay=0.25)
    values = [1.0, 2.0, 4.0]
    with torch.no_grad():
        model.weight.fill_(0.0)
        ema.prepare(model)
        for value in values:
            model.weight.fill_(value)
            ema.after(model)
    # d: 2/11, 3/12, then at most 0.25
    average = 0.0
    for d, value in zip((2 / 11, 0.25, 0.25), values, strict=True):
        average = d * average + (1 - d) * value
    published = ema.published(model.state_dict())
    assert float(published["weight"]) == pytest.approx(average)
    assert model.weight.tolist() == [[4.0]]


def trainer(directory: Path, wrappers: Sequence[Wrapper], epochs: int = 4) -> Trainer:
    directory.mkdir(parents=True, exist_ok=True)
    data = dataset()
    return Trainer(spec(data, epochs), 1, SAT(), SmallCNN(width=4), data, directory, wrappers)


def hashes(events: Sequence[Event]) -> dict[str, str]:
    return {event.name: event.sha256 for event in events if isinstance(event, CheckpointDone)}


def test_ema_publishes_the_average_and_leaves_the_training_as_it_was(tmp_path: Path) -> None:
    weights: dict[str, dict[str, Tensor]] = {}
    models = {}
    for name, wrappers in (("plain", []), ("ema", [EMA()])):
        events: list[Event] = []
        busy = trainer(tmp_path / name, wrappers)
        busy.fit(events.append)
        models[name] = busy.model.state_dict()
        weights[name] = load_weights(weights_file(tmp_path / name, "last"), hashes(events)["last"])
    assert all(torch.equal(models["plain"][key], models["ema"][key]) for key in models["plain"])
    assert all(torch.equal(weights["plain"][key], models["plain"][key]) for key in models["plain"])
    assert not torch.equal(weights["ema"]["0.weight"], weights["plain"]["0.weight"])
    assert torch.equal(weights["ema"]["1.running_mean"], weights["plain"]["1.running_mean"])


@pytest.mark.parametrize(
    ("update", "average"),
    [([AWP()], EMA()), ([LabelSmoothing(), SAM()], SWA(start=0.3))],
    ids=["awp and ema", "label-smoothing, sam, and swa"],
)
def test_wrappers_compose_and_resume_to_the_last_bit(
    tmp_path: Path, update: Sequence[Wrapper], average: Wrapper
) -> None:
    def fresh() -> list[Wrapper]:
        return [type(wrapper).from_mapping(wrapper.resolved()) for wrapper in (*update, average)]

    whole: list[Event] = []
    trainer(tmp_path / "whole", fresh()).fit(whole.append)

    def stop(event: Event) -> None:
        if isinstance(event, EpochDone) and event.record.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trainer(tmp_path / "parts", fresh()).fit(stop)
    rest: list[Event] = []
    trainer(tmp_path / "parts", fresh()).fit(rest.append)
    assert hashes(rest) == hashes(whole)
    alone: list[Event] = []
    trainer(tmp_path / "alone", fresh()[:-1]).fit(alone.append)
    assert hashes(alone)["last"] != hashes(whole)["last"]


@pytest.mark.parametrize("name", sorted(WRAPPERS))
@pytest.mark.parametrize("method", sorted(discover("methods").found))
def test_every_wrapper_composes_with_every_method(name: str, method: str) -> None:
    wrapper = cast(Wrapper, WRAPPERS[name]())
    model, (x, y) = make_tiny_model(), make_batch()
    made = cast(Method, discover("methods").found[method].cls())
    for part in (wrapper, made):
        give_stand_ins(part, make_tiny_model)
        part.prepare(model)
    step = make_step(copy.deepcopy(model), x, y).replayable()
    if name == "kd":
        made.loss(step)
    crafted = [one for several in step.crafted for one in several if not isinstance(one, Points)]
    if name == "kd" and len(crafted) != 1:
        with pytest.raises(PluginFault, match=r"distils on the one variant of an update, and this method crafts [02]"):
            wrapped_backward([wrapper])(make_step(model, x, y), made.loss)
        return
    loss, found = gradients([wrapper], made, model, make_step(model, x, y))
    wrapper.after(model)
    assert bool(loss.isfinite())
    assert not loss.requires_grad
    assert all(bool(gradient.isfinite().all()) for gradient in found)
    assert set(wrapper.published(model.state_dict())) == set(model.state_dict())


def test_an_unknown_wrapper_is_refused() -> None:
    with pytest.raises(HarnessError, match="unknown wrapper 'apw'; did you mean 'awp'"):
        discover("wrappers").get("apw")


class Tabled(nn.Module):
    """A layer that adds a table, which its first pass builds."""

    def __init__(self, *, built: bool) -> None:
        super().__init__()
        if built:
            self.register_buffer("table", torch.linspace(0, 1, 36).reshape(6, 6), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        if not hasattr(self, "table"):
            self.register_buffer("table", torch.linspace(0, 1, 36).reshape(6, 6), persistent=False)
        return x + self.get_buffer("table")


def test_awp_lets_a_network_build_a_table_in_its_first_pass() -> None:
    x, y = make_batch()
    built, building = (nn.Sequential(Tabled(built=now), make_tiny_model()) for now in (True, False))
    expected = gradients([AWP()], SAT(), built, make_step(built, x, y))
    ours = gradients([AWP()], SAT(), building, make_step(building, x, y))
    assert torch.equal(ours[0], expected[0])
    assert all(torch.equal(a, b) for a, b in zip(ours[1], expected[1], strict=True))


class Twice(Wrapper):
    """Takes the whole update that is inside it twice on the same variants, and keeps the second gradient."""

    name = "twice"

    def backward(self, step: Step, loss: Loss, inner: Backward) -> Tensor:
        first = step.replayable()
        inner(first, loss)
        step.model.zero_grad()
        return inner(first.rewound(), loss)


@pytest.mark.parametrize(
    "wrappers", [[Twice()], [AWP(), Twice()], [Twice(), AWP()], [Twice(), Twice()], [AWP(), Twice(), Twice()]], ids=str
)
@pytest.mark.parametrize("method", [SAT(), NFGSM()], ids=["a variant", "a variant around a random point"])
def test_a_wrapper_may_take_twice_what_another_takes_twice(wrappers: list[Wrapper], method: Method) -> None:
    """To take it again on the same variants and points changes no gradient: that is AWP's own, where it is there."""
    x, y = make_batch()
    once, often = make_tiny_model(), make_tiny_model()
    own = [wrapper for wrapper in wrappers if isinstance(wrapper, AWP)]
    expected = gradients(own, method, once, make_step(once, x, y))
    ours = gradients(wrappers, method, often, make_step(often, x, y))
    assert torch.equal(ours[0], expected[0])
    assert all(torch.equal(a, b) for a, b in zip(ours[1], expected[1], strict=True))

"""The engine holds methods to their contract while they train: each break stops the run with a reason."""

from __future__ import annotations

import contextlib
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.errors import PluginFault
from harness.events import CheckpointDone, Event
from harness.methods.sat import SAT
from harness.plugin.adversary import CrossEntropy
from harness.plugin.method import Method, Step
from harness.plugin.network import Network, Shape
from harness.plugin.wrapper import Backward, Loss, Wrapper
from harness.registry.catalogue import discover
from harness.runtime.seeds import global_seed
from harness.training.batches import batch_code, batch_sizes, epoch_batches
from harness.training.guard import guarded, moving_once
from harness.training.loop import Trainer, wrapped_backward
from harness.wrappers.awp import AWP
from harness.wrappers.ema import EMA
from tests.harness.training.test_loop import checkpoints, dataset, spec
from tests.tiny import make_batch, make_step, make_tiny_model


def plain(step: Step) -> Tensor:
    return F.cross_entropy(step.model(step.x), step.y)


@dataclass(frozen=True, kw_only=True)
class Odd(Method):
    """Does something odd."""

    name = "odd"
    does: Callable[[Step], Any] = field(default=plain)

    def __post_init__(self) -> None:
        """Nothing to check."""

    def loss(self, step: Step) -> Tensor:
        return self.does(step)  # type: ignore[no-any-return]


def and_plain(first: Callable[[Step], object]) -> Callable[[Step], Tensor]:
    def does(step: Step) -> Tensor:
        first(step)
        return plain(step)

    return does


def no_gradient_mode(_step: Step) -> None:
    torch.set_grad_enabled(False)


ODD: dict[str, tuple[Callable[[Step], Any], str]] = {
    "a vector": (lambda s: F.cross_entropy(s.model(s.x), s.y, reduction="none"), r"its loss has shape \(12,\)"),
    "a number": (lambda s: plain(s).item(), "its loss is a float"),
    "nothing": (lambda s: None, "its loss is a NoneType"),
    "no gradient": (lambda s: plain(s).detach(), "its loss carries no gradient"),
    "an integer": (lambda s: s.model(s.x).argmax(1).sum(), "its loss is of type torch.int64"),
    "logs a float": (and_plain(lambda s: s.log("gap", 0.5)), "it logs gap as float"),  # type: ignore[arg-type]
    "logs a vector": (and_plain(lambda s: s.log("each", s.x.flatten(1).mean(1))), r"it logs each as shape \(12,\)"),
    "logs a complex number": (and_plain(lambda s: s.log("phase", s.x.mean() * 1j)), "it logs phase as torch.complex64"),
    "logs a text": (and_plain(lambda s: s.log("gap", "wide")), "it logs gap as str"),  # type: ignore[arg-type]
    "logs a vector of one": (and_plain(lambda s: s.log("gap", s.x.mean()[None])), r"it logs gap as shape \(1,\)"),
    "logs without a name": (and_plain(lambda s: s.log(3, s.x.mean())), "under the name 3"),  # type: ignore[arg-type]
    "evaluation mode": (and_plain(lambda s: s.model.eval()), "in another mode or without gradient"),
    "one module in evaluation mode": (and_plain(lambda s: s.model[1].eval()), "module 1 in another mode"),  # type: ignore[index]
    "frozen": (and_plain(lambda s: s.model.requires_grad_(False)), "carries no gradient|parameter 0.weight"),
    "gradients switched off": (and_plain(no_gradient_mode), "its loss left torch's gradient mode at False"),
    "another default type": (
        and_plain(lambda s: torch.set_default_dtype(torch.float64)),
        "its loss left torch's default dtype at torch.float64",
    ),
    "an end of the program": (and_plain(lambda s: sys.exit(3)), "it raised SystemExit: 3"),
    "an error of its own": (and_plain(lambda s: 1 / 0), "line .* it raised ZeroDivisionError: division by zero"),
}


@pytest.mark.parametrize(("does", "problem"), ODD.values(), ids=ODD)
def test_a_broken_contract_names_the_plugin_its_file_and_what_says_more(
    does: Callable[[Step], Any], problem: str
) -> None:
    model, (x, y) = make_tiny_model(), make_batch()
    with pytest.raises(PluginFault, match=problem) as caught:
        guarded(Odd(does=does), None)(make_step(model, x, y))
    text = str(caught.value)
    assert text.startswith(f"method 'odd' ({Path(__file__).resolve()}")
    assert "`harness check method odd --plugin" in text
    assert "\n" not in text
    assert torch.is_grad_enabled()
    assert torch.get_default_dtype() == torch.float32


def test_a_sound_loss_is_the_methods_own_and_a_frozen_layer_may_stay_frozen() -> None:
    model, (x, y) = make_tiny_model(), make_batch()
    step = make_step(model, x, y)
    model[1].eval()  # a network that keeps its batch-norm frozen does so before and after
    model[1].requires_grad_(False)
    assert torch.equal(guarded(Odd(), None)(step), plain(step))


def test_a_bug_of_what_ships_is_no_plugins_fault() -> None:
    model, (x, y) = make_tiny_model(), make_batch()
    step = make_step(model, x, y)
    object.__setattr__(step, "y", None)
    with pytest.raises(AttributeError, match="repeat"):
        guarded(cast(Method, discover("methods").get("sat")()), None)(step)


# ---- what a loss must leave as it was


def steps_an_optimiser(step: Step) -> None:
    optimizer = torch.optim.SGD(step.model.parameters(), lr=0.1)
    gradients = torch.autograd.grad(plain(step), list(step.model.parameters()))
    for parameter, gradient in zip(step.model.parameters(), gradients, strict=True):
        parameter.grad = gradient
    optimizer.step()
    optimizer.zero_grad()


def crafts_by_backward(step: Step) -> None:
    x = step.x.clone().requires_grad_()
    F.cross_entropy(step.model(x), step.y).backward()  # type: ignore[no-untyped-call]


def replaces(step: Step) -> None:
    step.model[0].weight = nn.Parameter(step.model[0].weight.detach().clone())  # type: ignore[index]


def weight(step: Step) -> Tensor:
    return cast(Tensor, step.model[0].weight)  # type: ignore[index]


def by_numpy(step: Step) -> None:
    weight(step).detach().numpy()[0] = 0


CHANGES: dict[str, tuple[Callable[[Step], object], str]] = {
    "backward of its own": (lambda s: plain(s).backward(), r"its loss changed the gradient of 0.weight, .* and 3 more"),  # type: ignore[no-untyped-call]
    "backward to craft": (crafts_by_backward, r"the gradient of 0.weight, .*torch.autograd.grad\(loss, x\)"),
    "zeros for no gradient": (
        lambda s: setattr(weight(s), "grad", 0 * weight(s).detach()),
        "the gradient of 0.weight;",
    ),
    "an optimiser of its own": (
        steps_an_optimiser,
        "its loss changed parameter 0.weight, .* the optimiser alone changes",
    ),
    "a weight by its data": (lambda s: weight(s).data.mul_(2), "its loss changed parameter 0.weight;"),
    "a weight by numpy": (by_numpy, "its loss changed parameter 0.weight;"),
    "other data": (lambda s: setattr(weight(s), "data", 2 * weight(s).data), "its loss changed parameter 0.weight;"),
    "another parameter": (replaces, "its loss changed parameter 0.weight"),
    "a new parameter": (lambda s: s.model.register_parameter("new", nn.Parameter(torch.ones(1))), "parameter new"),
    "a hook on a weight": (lambda s: weight(s).register_hook(lambda g: 2 * g), "0.weight; .* a hook on a weight"),  # type: ignore[no-untyped-call]
    "the images": (lambda s: s.x.add_(0.1), r"its loss changed the images step.x; .*step.x.clone\(\)"),
    "the images by their data": (lambda s: s.x.data.add_(0.1), "its loss changed the images step.x"),
    "the labels": (lambda s: s.y.zero_(), "its loss changed the labels step.y"),
    "a frozen buffer": (lambda s: s.model[1].running_mean.add_(1), "its loss changed buffer 1.running_mean; a module"),  # type: ignore[index]
}


@pytest.mark.parametrize(("does", "problem"), CHANGES.values(), ids=CHANGES)
def test_a_loss_leaves_weights_gradients_and_the_batch_as_they_were(
    does: Callable[[Step], object], problem: str
) -> None:
    model, (x, y) = make_tiny_model(), make_batch()
    step = make_step(model, x, y)
    model[1].eval()
    with pytest.raises(PluginFault, match=problem) as caught:
        guarded(Odd(does=and_plain(does)), None)(step)
    assert "\n" not in str(caught.value)


def test_what_torch_does_not_count_is_seen_within_five_updates() -> None:
    model, (x, y), updates = make_tiny_model(), make_batch(), []

    def does(step: Step) -> None:
        updates.append(1)
        if len(updates) > 1:
            weight(step).data.mul_(1.5)

    loss = guarded(Odd(does=and_plain(does)), None)

    def train() -> None:
        for _ in range(20):
            loss(make_step(model, x, y))

    with pytest.raises(PluginFault, match=r"parameter 0\.weight"):
        train()
    assert len(updates) <= 6


def test_a_gradient_that_was_there_may_not_grow() -> None:
    model, (x, y) = make_tiny_model(), make_batch()
    plain(make_step(model, x, y)).backward()  # type: ignore[no-untyped-call]
    assert torch.equal(guarded(Odd(), None)(make_step(model, x, y)), plain(make_step(model, x, y)))
    with pytest.raises(PluginFault, match=r"the gradient of 0\.weight"):
        guarded(Odd(does=and_plain(crafts_by_backward)), None)(make_step(model, x, y))


def test_a_loss_may_craft_by_autograd_and_clear_what_it_left_itself() -> None:
    model, (x, y) = make_tiny_model(), make_batch()
    expected = plain(make_step(model, x, y))

    def crafts(step: Step) -> None:
        images = step.x.clone().requires_grad_()
        torch.autograd.grad(F.cross_entropy(step.model(images), step.y), images)

    def clears(step: Step) -> None:
        crafts_by_backward(step)
        step.model.zero_grad()

    for does in (crafts, clears):
        assert torch.equal(guarded(Odd(does=and_plain(does)), None)(make_step(model, x, y)), expected)


def test_weights_that_are_no_numbers_are_not_a_changed_weight() -> None:
    model, (x, y) = make_tiny_model(), make_batch()
    nn.init.constant_(cast(Tensor, model[0].weight), torch.nan)
    assert bool(guarded(Odd(), None)(make_step(model, x, y)).isnan())


def test_a_network_that_writes_its_weights_in_its_forward_pass_is_named_itself() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Clipped(Network):
        name = "clipped"

        def build(self, shape: Shape) -> nn.Module:
            raise NotImplementedError

    model, (x, y) = make_tiny_model(), make_batch()

    def clip(module: nn.Module, _inputs: object) -> None:
        module[0].weight.data.clamp_(-0.01, 0.01)  # type: ignore[index]

    model.register_forward_pre_hook(clip)
    sat = cast(Method, discover("methods").get("sat")())
    with pytest.raises(PluginFault, match=r"^network 'clipped' .* a pass of it changed parameter 0.weight"):
        guarded(sat, Clipped())(make_step(model, x, y))


# ---- a method's memory


@dataclass(frozen=True, kw_only=True)
class Counting(Method):
    """Counts its updates, in a number, a tensor, and a network."""

    def prepare(self, model: nn.Module) -> None:
        self.memory["batches"] = 0
        self.memory["sum"] = torch.zeros(())
        self.memory["net"] = nn.Linear(1, 1, bias=False)
        nn.init.zeros_(self.memory["net"].weight)

    def loss(self, step: Step) -> Tensor:
        self.memory["batches"] += 1
        self.memory["sum"] += 1
        self.memory["net"].weight.data += 1
        self.memory[f"seen {self.memory['batches']}"] = True
        return plain(step)


@dataclass(frozen=True, kw_only=True)
class Thrice(Wrapper):
    """Takes the loss three times, as a stranger's wrapper may."""

    def backward(self, step: Step, loss: Loss, inner: Backward) -> Tensor:
        for _ in range(2):
            torch.autograd.grad(loss(step), list(step.model.parameters()))
        return inner(step, loss)


@pytest.mark.parametrize(
    "wrappers",
    [[], [EMA()], [AWP()], [Thrice()], [AWP(), Thrice()], [Thrice(), AWP()], [AWP(), AWP()]],
    ids=["none", "ema", "awp", "thrice", "awp in thrice", "thrice in awp", "awp in awp"],
)
def test_a_methods_memory_moves_once_an_update_under_every_wrapper(wrappers: list[Wrapper]) -> None:
    method, model, (x, y) = Counting(), make_tiny_model(), make_batch()
    method.prepare(model)
    for wrapper in wrappers:
        wrapper.prepare(model)
    network = method.memory["net"]
    loss_of_an_update = moving_once(method, guarded(method, None), wrappers)
    for _ in range(3):
        wrapped_backward(wrappers)(make_step(model, x, y), loss_of_an_update())
    assert method.memory["batches"] == method.memory["sum"].item() == method.memory["net"].weight.item() == 3
    assert method.memory["net"] is network
    assert sorted(name for name in method.memory if name.startswith("seen")) == ["seen 1", "seen 2", "seen 3"]


def test_a_wrapper_within_a_wrapper_replays_the_same_variants() -> None:
    model, (x, y) = make_tiny_model(), make_batch()
    seen: list[Tensor] = []

    def does(step: Step) -> Tensor:
        step.log("x", step.x.mean())
        seen.append(step.perturb(CrossEntropy()).x)
        return F.cross_entropy(step.model(seen[-1]), step.y)

    logged: list[str] = []
    method = Odd(does=does)
    step = make_step(model, x, y, log=lambda name, _value: logged.append(name))
    wrapped_backward([AWP(), AWP()])(step, guarded(method, None))
    assert len(seen) == 3
    assert all(torch.equal(variant, seen[0]) for variant in seen)
    assert logged == ["x"]


# ---- variants that a loss writes into


def centred(in_place: bool) -> Callable[[Step], Tensor]:
    """A loss on a centred variant, which is centred in place or in a copy."""

    def does(step: Step) -> Tensor:
        variant = step.perturb(CrossEntropy())
        flipped = variant.steps_to_flip.mul_(2) if in_place else 2 * variant.steps_to_flip
        logits = step.model(variant.x.sub_(0.5) if in_place else variant.x - 0.5)
        return (flipped * F.cross_entropy(logits, step.y, reduction="none")).mean()

    return does


@pytest.mark.parametrize("wrappers", [[AWP()], [Thrice()], [AWP(), AWP()]], ids=["awp", "thrice", "awp in awp"])
def test_a_loss_that_writes_into_a_variant_gives_the_update_of_one_that_does_not(wrappers: list[Wrapper]) -> None:
    updates = []
    for in_place in (False, True):
        model, (x, y) = make_tiny_model(), make_batch()
        loss = guarded(Odd(does=centred(in_place)), None)
        updates.append([wrapped_backward(wrappers)(make_step(model, x, y), loss)])
        updates[-1] += [cast(Tensor, parameter.grad) for parameter in model.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(*updates, strict=True))


# ---- draws of networks


@dataclass(frozen=True, kw_only=True)
class Dropping(Network):
    """A network that draws from torch's, numpy's, and Python's global generators in training mode."""

    name = "dropping"

    def build(self, shape: Shape) -> nn.Module:
        class Noise(nn.Module):
            def forward(self, x: Tensor) -> Tensor:
                return x * (1 + 0.1 * random.random() + 0.1 * float(np.random.rand())) if self.training else x

        return nn.Sequential(nn.Flatten(), nn.Linear(64, 8), Noise(), nn.Dropout(0.5), nn.Linear(8, shape.classes))


def train(folder: Path, *, epochs: int = 4, stop_after: int | None = None) -> list[Event]:
    folder.mkdir(exist_ok=True)
    data, events = dataset(), list[Event]()
    made = Trainer(spec(data, epochs), 1, SAT(), Dropping(), data, folder)

    def hear(event: Event) -> None:
        events.append(event)
        if stop_after is not None and getattr(getattr(event, "record", None), "epoch", 0) == stop_after:
            raise KeyboardInterrupt

    if stop_after is not None:
        with pytest.raises(KeyboardInterrupt):
            made.fit(hear)
    else:
        made.fit(hear)
    return events


def test_one_seed_is_one_network_for_networks_that_draw_and_after_a_stop_too(tmp_path: Path) -> None:
    first = checkpoints(train(tmp_path / "a"))
    torch.rand(5), random.random(), np.random.rand()
    states = torch.get_rng_state(), random.getstate(), str(np.random.get_state())
    assert checkpoints(train(tmp_path / "b")) == first
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (random.getstate(), str(np.random.get_state())) == states[1:]
    for epoch in (1, 3):
        train(tmp_path / f"stopped {epoch}", stop_after=epoch)
        torch.manual_seed(99)
        assert checkpoints(train(tmp_path / f"stopped {epoch}")) == first


def test_epochs_draw_anew(tmp_path: Path) -> None:
    drawn: list[float] = []
    data = dataset()
    made = Trainer(spec(data, 2), 1, SAT(), Dropping(), data, tmp_path)
    keep = made._epoch

    def epoch(*arguments: Any) -> Any:
        drawn.append(float(torch.rand(())))
        return keep(*arguments)

    made._epoch = epoch  # type: ignore[method-assign, assignment]
    made.fit(lambda event: None)
    assert len(set(drawn)) == 2


def test_the_global_generators_are_seeded_and_put_back() -> None:
    cpu = torch.device("cpu")
    before = torch.get_rng_state(), random.getstate(), str(np.random.get_state())
    with global_seed(cpu, 5):
        first = float(torch.rand(())), random.random(), float(np.random.rand())
    with contextlib.suppress(KeyError), global_seed(cpu, 5):
        assert (float(torch.rand(())), random.random(), float(np.random.rand())) == first
        raise KeyError
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (random.getstate(), str(np.random.get_state())) == before[1:]


# ---- a last batch of one, and shared tensors


@pytest.mark.parametrize(
    ("images", "size", "expected"),
    [
        (50, 16, [16, 16, 16, 2]),
        (49, 16, [16, 16, 17]),
        (48, 16, [16] * 3),
        (17, 16, [17]),
        (1, 16, [1]),
        (5, 2, [2, 3]),
    ],
)
def test_a_last_batch_of_one_joins_the_one_before_it(images: int, size: int, expected: list[int]) -> None:
    assert batch_sizes(images, size) == expected
    batches = [len(y) for _, y in epoch_batches(dataset(images), size, 0, 1)]
    assert batches == expected
    joined = images > size and images % size == 1
    assert batch_code(images, size) == ({"last batch": "joined"} if joined else {})


def test_batch_norm_on_vectors_trains_where_one_image_is_left_over(tmp_path: Path) -> None:
    @dataclass(frozen=True, kw_only=True)
    class Normed(Network):
        name = "normed"

        def build(self, shape: Shape) -> nn.Module:
            return nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.BatchNorm1d(8), nn.Linear(8, shape.classes))

    data = dataset(33)
    Trainer(spec(data, 1), 1, SAT(), Normed(), data, tmp_path).fit(lambda event: None)


class TwoOfOne(nn.Module):
    """Two layers that share their weights."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(64, 64), nn.Linear(64, 64)
        self.b.weight = self.a.weight
        self.head = nn.Linear(64, shape.classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.b(self.a(x.flatten(1)).relu()).relu())
        return logits


@dataclass(frozen=True, kw_only=True)
class Tied(Network):
    """Shared weights."""

    name = "tied"

    def build(self, shape: Shape) -> nn.Module:
        return TwoOfOne(shape)


@pytest.mark.parametrize("wrappers", [[], [EMA(decay=0.5)], [AWP(), EMA(decay=0.5)]], ids=["plain", "ema", "awp+ema"])
def test_shared_weights_are_trained_averaged_and_saved(wrappers: list[Wrapper], tmp_path: Path) -> None:
    from safetensors.torch import load_file

    data, events = dataset(), list[Event]()
    made = Trainer(spec(data, 2), 1, SAT(), Tied(), data, tmp_path, wrappers)
    made.fit(events.append)
    weights = load_file(tmp_path / "last.safetensors")
    assert set(weights) == set(made.model.state_dict())
    assert torch.equal(weights["a.weight"], weights["b.weight"])
    trained = made.model.state_dict()["a.weight"]
    assert torch.equal(weights["a.weight"], trained) == (not wrappers)
    again = TwoOfOne(data.shape)
    again.load_state_dict(weights)
    assert again.a.weight is again.b.weight
    assert torch.equal(again.a.weight, weights["a.weight"])
    assert {event.name for event in events if isinstance(event, CheckpointDone)} == {"early", "last"}


def test_an_average_of_shared_weights_by_hand() -> None:
    model, ema = TwoOfOne(Shape(1, 8, 8, 4)), EMA(decay=0.0)
    ema.prepare(model)
    with torch.no_grad():
        model.a.weight.fill_(2.0)
    ema.after(model)  # a decay of 0: the average is the newest weights
    published = ema.published(model.state_dict())
    assert float(published["a.weight"].mean()) == float(published["b.weight"].mean()) == 2.0

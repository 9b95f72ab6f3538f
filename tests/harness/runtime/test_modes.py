"""Torch's modes, set by a plugin: put back by whoever reads them, and a training that leaves one set is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from harness.errors import PluginFault
from harness.methods.standard import Standard
from harness.networks.smallcnn import SmallCNN
from harness.plugin.method import Method, Step
from harness.plugin.network import Network, Shape
from harness.plugin.wrapper import Wrapper
from harness.registry.catalogue import discover
from harness.runtime.isolation import isolated
from harness.runtime.process import Modes, process_kept
from harness.training.guard import guarded
from harness.training.loop import Trainer, initial_model
from tests.harness.runtime.networks import Net
from tests.harness.training.given import dataset, spec
from tests.harness.training.losses import Odd, and_plain
from tests.tiny import draws, make_batch, make_step, make_tiny_model

CPU = torch.device("cpu")


def flushes() -> bool:
    return float(torch.full((64,), 1e-42).mul(1.0).sum()) == 0.0


def enter_autocast() -> None:
    torch.autocast("cpu").__enter__()  # type: ignore[no-untyped-call]


def precision(backend: Any, value: str) -> Callable[[], None]:
    return lambda: setattr(backend, "fp32_precision", value)


SETS: dict[str, tuple[Callable[[], object], Callable[[], object], str]] = {
    "gradients": (lambda: torch.set_grad_enabled(False), torch.is_grad_enabled, "gradient mode"),
    "dtype": (lambda: torch.set_default_dtype(torch.float64), torch.get_default_dtype, "default dtype"),
    "device": (lambda: torch.set_default_device("meta"), torch.get_default_device, "default device"),
    "threads": (lambda: torch.set_num_threads(2), torch.get_num_threads, "number of threads"),
    "deterministic": (
        lambda: torch.use_deterministic_algorithms(True, warn_only=True),
        torch.are_deterministic_algorithms_enabled,
        "deterministic mode",
    ),
    "denormal": (lambda: torch.set_flush_denormal(True), flushes, "flushing of denormal numbers"),
    "benchmark": (
        lambda: setattr(torch.backends.cudnn, "benchmark", True),
        lambda: torch.backends.cudnn.benchmark,
        "benchmark mode",
    ),
    "cudnn deterministic": (
        lambda: setattr(torch.backends.cudnn, "deterministic", True),
        lambda: torch.backends.cudnn.deterministic,
        "deterministic mode",
    ),
    "cudnn": (
        lambda: setattr(torch.backends.cudnn, "enabled", False),
        lambda: torch.backends.cudnn.enabled,
        "use of cuDNN",
    ),
    "onednn": (
        lambda: torch.backends.mkldnn.set_flags(False),  # type: ignore[no-untyped-call]
        lambda: torch.backends.mkldnn.enabled,
        "use of oneDNN",
    ),
    "matmul precision": (
        lambda: torch.set_float32_matmul_precision("medium"),
        torch.get_float32_matmul_precision,
        "float32 precision",
    ),
    "tf32 of products": (
        precision(torch.backends.cuda.matmul, "tf32"),
        lambda: torch.backends.cuda.matmul.fp32_precision,
        "float32 precision",
    ),
    "tf32 of convolutions": (
        precision(torch.backends.cudnn.conv, "ieee"),  # type: ignore[attr-defined]
        lambda: torch.backends.cudnn.conv.fp32_precision,  # type: ignore[attr-defined]
        "float32 precision",
    ),
    "bfloat16 of convolutions": (
        precision(torch.backends.mkldnn.conv, "bf16"),  # type: ignore[attr-defined]
        lambda: torch.backends.mkldnn.conv.fp32_precision,  # type: ignore[attr-defined]
        "float32 precision",
    ),
    "autocast entered": (enter_autocast, lambda: torch.is_autocast_enabled("cpu"), "autocast"),
    "autocast's type": (
        lambda: torch.set_autocast_dtype("cpu", torch.float16),
        lambda: torch.get_autocast_dtype("cpu"),
        "autocast",
    ),
    "autocast's cache": (
        lambda: torch.set_autocast_cache_enabled(False),
        torch.is_autocast_cache_enabled,
        "autocast",
    ),
}
everyone = pytest.mark.parametrize(("act", "get", "name"), SETS.values(), ids=SETS)


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    before = [get() for _, get, _ in SETS.values()]
    modes = Modes.now()
    yield
    after = [get() for _, get, _ in SETS.values()]
    modes.put_back()  # of a mend that is broken, for the tests after this one
    assert after == before


@everyone
def test_a_mode_is_put_back_and_named(act: Callable[[], object], get: Callable[[], object], name: str) -> None:
    before = get()
    with process_kept() as changed:
        act()
        assert get() != before
    assert get() == before
    assert [text for text in changed if name in text] == list(changed)
    assert len(changed) == 1


@everyone
def test_a_loss_that_sets_a_mode_is_refused_and_the_next_method_finds_it_as_it_was(
    act: Callable[[], object], get: Callable[[], object], name: str
) -> None:
    before, model, (x, y) = get(), make_tiny_model(), make_batch()
    with pytest.raises(PluginFault, match=rf"^method 'odd' .*its loss left [^;]*{name} at .*put back") as caught:
        guarded(Odd(does=lambda step: (and_plain(lambda _s: None)(step), act())[0]), None)(make_step(model, x, y))
    assert "\n" not in str(caught.value)
    assert get() == before


def test_a_loss_that_puts_back_what_it_sets_is_fine() -> None:
    def within(step: Step) -> None:
        with torch.autocast("cpu"), torch.no_grad():
            step.model(step.x)

    model, (x, y) = make_tiny_model(), make_batch()
    assert bool(guarded(Odd(does=and_plain(within)), None)(make_step(model, x, y)).isfinite())


@everyone
def test_a_model_under_attack_cannot_set_a_mode(
    act: Callable[[], object], get: Callable[[], object], name: str
) -> None:
    before, model = get(), Net(act)
    with isolated(model, CPU, 0) as isolation:
        model(torch.rand(1, 1, 2, 2, generator=draws()))
        assert get() == before
    assert [text for text in isolation.changed if name in text] == list(isolation.changed)
    assert len(isolation.changed) == 1


def test_what_a_backward_pass_sets_for_the_process_is_put_back() -> None:
    model = Net(backward=lambda: torch.set_default_dtype(torch.float64))
    with isolated(model, CPU, 0) as isolation:
        x = torch.rand(1, 1, 2, 2, generator=draws()).requires_grad_()
        torch.autograd.grad(model(x).sum(), x)
        assert torch.get_default_dtype() == torch.float32
    assert isolation.changed == {"torch's default dtype"}


def deterministic() -> None:
    torch.use_deterministic_algorithms(True, warn_only=True)


@dataclass(frozen=True, kw_only=True)
class SetsInPrepare(Standard):
    """A method."""

    name = "sets"

    def prepare(self, model: nn.Module) -> None:
        deterministic()


@dataclass(frozen=True, kw_only=True)
class SetsAfter(Wrapper):
    """A wrapper."""

    name = "sets"

    def after(self, model: nn.Module) -> None:
        deterministic()


@dataclass(frozen=True, kw_only=True)
class SetsWhenBuilt(Network):
    """A network."""

    name = "sets"

    def build(self, shape: Shape) -> nn.Module:
        deterministic()
        return nn.Sequential(nn.Flatten(), nn.Linear(64, shape.classes))


def trained(folder: Path, method: Method, network: Network, wrappers: list[Wrapper]) -> None:
    data = dataset()
    Trainer(spec(data, 1), 1, method, network, data, folder, wrappers).fit(lambda event: None)


def test_prepare_and_wrappers_are_held_to_it_too(tmp_path: Path) -> None:
    standard = discover("methods").get("standard")()
    with pytest.raises(PluginFault, match=r"^method 'sets' .* its prepare left torch's deterministic mode at 1"):
        trained(tmp_path / "a", SetsInPrepare(), SmallCNN(width=4), [])
    smallcnn: Any = discover("networks").get("smallcnn")
    with pytest.raises(PluginFault, match=r"^wrapper 'sets' .* an update left torch's deterministic mode at 1"):
        trained(tmp_path / "b", standard, smallcnn(width=4), [SetsAfter()])  # type: ignore[arg-type]


def test_a_network_that_sets_a_mode_when_it_is_built_sets_it_for_nobody() -> None:
    initial_model(SetsWhenBuilt(), Shape(1, 8, 8, 4), 0)
    assert not torch.are_deterministic_algorithms_enabled()


def test_a_plugin_that_sets_a_mode_as_it_is_imported_sets_it_for_nobody(tmp_path: Path) -> None:
    file = tmp_path / "at_import.py"
    file.write_text(
        "from dataclasses import dataclass\nimport torch\nfrom harness.plugin.method import Method\n\n"
        "torch.use_deterministic_algorithms(True)\n\n\n"
        "@dataclass(frozen=True, kw_only=True)\nclass AtImport(Method):\n    def loss(self, step):\n        ...\n"
    )
    assert "at-import" in discover("methods", [file]).found
    assert not torch.are_deterministic_algorithms_enabled()


def test_backends_that_differ_are_put_back_as_they_differed() -> None:
    torch.backends.cuda.matmul.fp32_precision = "ieee"
    torch.backends.mkldnn.matmul.fp32_precision = "bf16"  # type: ignore[attr-defined]
    try:
        with process_kept():
            torch.set_float32_matmul_precision("high")
        assert torch.backends.cuda.matmul.fp32_precision == "ieee"
        assert torch.backends.mkldnn.matmul.fp32_precision == "bf16"  # type: ignore[attr-defined]
    finally:
        torch.backends.cuda.matmul.fp32_precision = "none"
        torch.backends.mkldnn.matmul.fp32_precision = "none"  # type: ignore[attr-defined]


def test_autocast_that_was_entered_no_longer_keeps_weights() -> None:
    with process_kept():
        enter_autocast()
    layer = nn.Linear(4, 4)
    nn.init.zeros_(layer.weight)
    nn.init.ones_(layer.bias)

    def logits() -> list[float]:
        with torch.autocast("cpu", torch.bfloat16):
            return layer(torch.ones(1, 4)).flatten().tolist()  # type: ignore[no-any-return]

    assert logits() == [1.0] * 4
    with torch.no_grad():
        layer.bias.add_(64.0)
    assert logits() == [65.0] * 4  # bfloat16 holds it

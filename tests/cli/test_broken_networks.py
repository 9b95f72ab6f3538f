"""Networks that cannot be trained: refused in one line, before anything is written, whatever is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.store.store import Store
from tests.cli.conftest import Ends, Harness
from tests.cli.sources import SHORT

NETWORK = """
from dataclasses import dataclass
import torch
from torch import nn
from harness.plugin.network import Network, Shape

class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(64, 10)
    def forward(self, x):
        z = self.linear(x.flatten(1))
        FORWARD

@dataclass(frozen=True, kw_only=True)
class Tiny(Network):
    '''A network under work.'''
    def build(self, shape: Shape) -> nn.Module:
        BUILD
"""

BUILDS = {
    "lazy": ("return nn.Sequential(nn.Flatten(), nn.LazyLinear(10))", "1.weight, 1.bias has no shape before"),
    "lazy statistics": ("return nn.Sequential(nn.LazyBatchNorm2d(affine=False), Model())", "0.running_mean, 0.running"),
    "no parameters": ("return nn.Sequential(nn.Flatten(), nn.AdaptiveAvgPool1d(10))", "it has no parameters"),
    "frozen": ("return Model().requires_grad_(False)", "all its parameters are frozen"),
    "no module": ("return Model().forward", "build gives a method; give a torch.nn.Module"),
    "raises": ("raise KeyError('depth')", "tiny.py, line 19): it raised KeyError: 'depth'"),
    "of another size": (
        "return nn.Sequential(nn.Flatten(), nn.Linear(63, 10))",
        "shapes cannot be multiplied",
    ),
    "of another type": ("return Model().double()", "it raised RuntimeError: "),
}
PASSES = {
    "a tuple": ("return z, x", "in training mode it gives a tuple; give one tensor"),
    "a dict": ("return {'logits': z}", "in training mode it gives a dict; give one tensor"),
    "a tuple in training": ("return (z, z) if self.training else z", "in training mode it gives a tuple"),
    "too few": ("return z[:, :5]", "of 10 classes, it gives shape (2, 5)"),
    "too many": ("return torch.cat([z, z], 1)", "of 10 classes, it gives shape (2, 20)"),
    "one image is a vector": ("return z.squeeze()", "for images (1, 1, 8, 8) of 10 classes, it gives shape (10,)"),
    "float64": ("return z.double()", "its logits are torch.float64; give torch.float32"),
    "half": ("return z.half()", "its logits are torch.float16; give torch.float32"),
    "classes": ("return z.argmax(1)", "it gives shape (2,)"),
    "not finite": ("return z * torch.nan", "in training mode its logits are not finite"),
    "not finite in evaluation": (
        "return z if self.training else z / 0",
        "in evaluation mode its logits are not finite",
    ),
    "no gradient": ("return z.detach()", "in training mode its logits carry no gradient"),
    "no gradient of images": ("return self.linear(x.detach().flatten(1))", "no gradient reaches the images"),
    "in place": ("x -= 0.5; return self.linear(x.flatten(1))", "it writes into the images that it is given"),
    "in place at first": ("return self.linear(x.relu_().flatten(1))", "it writes into the images that it is given"),
    "raises": ("raise KeyError('z')", "tiny.py, line 13): it raised KeyError: 'z'"),
    "an end of the program": ("raise SystemExit(0)", "it raised SystemExit: 0"),
}
OWN = "draws = torch.Generator(); draws.seed()"  # as numpy.random.default_rng() without a seed
SEEDS = {
    "its weights": (
        f"model = Model(); {OWN}; model.linear.bias.data.uniform_(generator=draws); return model",
        "return z",
        "the same seed gives different weights",
    ),
    "what it draws": (
        f"model = Model(); {OWN}; model.draws = draws; return model",
        "return z * (torch.rand((), generator=self.draws) if self.training else 1)",
        "in training mode the same seed gives different logits",
    ),
}
CASES = {
    **{f"builds: {key}": (build, "return z", words) for key, (build, words) in BUILDS.items()},
    **{f"no seed decides: {key}": case for key, case in SEEDS.items()},
    **{f"gives: {key}": ("return Model()", forward, words) for key, (forward, words) in PASSES.items()},
}


def write(build: str, forward: str) -> str:
    Path("tiny.py").write_text(NETWORK.replace("BUILD", build).replace("FORWARD", forward))
    return f"run sat standard --wrap awp --plugin tiny.py --arch tiny {SHORT}"


@pytest.mark.parametrize(("build", "forward", "words"), CASES.values(), ids=CASES)
def test_a_network_that_cannot_be_trained_is_refused_before_anything_is_written(
    build: str, forward: str, words: str, fails: Ends
) -> None:
    command = write(build, forward)
    before = set(Path().iterdir())
    code, out, err = fails(command)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"harness: network 'tiny' ({Path('tiny.py').resolve()}")
    assert words in err
    assert err.endswith(f"`harness check network tiny --plugin {Path('tiny.py').resolve()}` says more\n")
    assert set(Path().iterdir()) == before


def test_a_network_that_reads_its_own_weights_as_it_is_built_is_trained(harness: Harness) -> None:
    # torch's meta device, on which networks that ship are counted, has no values to read
    harness(write("model = Model(); model.linear.weight.sum().detach().item(); return model", "return z"))
    assert {run.parameters for run in Store.read("board.db").runs()} == {64 * 10 + 10}


def test_draws_that_a_seed_decides_are_trained(harness: Harness) -> None:
    own = "model = Model(); model.draws = torch.Generator().manual_seed(torch.initial_seed()); return model"
    for forward in ("generator=self.draws", "generator=None"):
        scale = f"(torch.rand((), {forward}) if self.training else 1)"
        harness(write(own, f"return z * {scale}"))
    assert {run.status for run in Store.read("board.db").runs()} == {"done"}


BIAS_ALONE = "model = Model(); model.linear.weight.requires_grad_(False); return model"


def test_a_network_that_a_wrapper_cannot_take_is_refused_before_anything_is_written(
    harness: Harness, fails: Ends
) -> None:
    command = write(BIAS_ALONE, "return z")
    before = set(Path().iterdir())
    code, out, err = fails(command)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "wrapper 'awp' finds nothing to perturb" in err
    assert set(Path().iterdir()) == before
    harness(command.replace("--wrap awp ", ""))
    assert {run.status for run in Store.read("board.db").runs()} == {"done"}

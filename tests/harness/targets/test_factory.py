"""The user's own code: imported as Python does, called, told in one line where it fails, the same in any process."""

from __future__ import annotations

import multiprocessing
import os
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from harness.registry.catalogue import discover
from harness.targets.preprocessing import Preprocessing
from harness.targets.target import Target, TargetError
from tests.harness.targets.conftest import DIGITS, Opens, Refusal, WriteModule, logits, pixels, trained

NET = """
class Net(nn.Module):
    def __init__(self, bias=0.5):
        super().__init__()
        self.layer = nn.Linear(64, 10)
        nn.init.constant_(self.layer.bias, bias)

    def forward(self, x):
        return self.layer(x.flatten(1))


def make():
    return Net(bias=2.0)


def plain():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))


class Zoo:
    @staticmethod
    def best():
        return Net()


ready = Net()
"""
LOUD = """
def loud():
    print(2)
    return Net()
"""
COUNTING = """
import itertools
count = itertools.count()

def make():
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    nn.init.constant_(net[1].bias, next(count))
    return net
"""


class TestWhatItMayBe:
    @pytest.mark.parametrize(
        ("factory", "network", "bias"), [("make", "Net", 2.0), ("Net", "Net", 0.5), ("ready", "Net", 0.5)]
    )
    def test_a_function_a_class_an_instance(
        self, factory: str, network: str, bias: float, module: WriteModule, opens: Opens
    ) -> None:
        opened = opens(f"{module(NET)}:{factory}")
        assert (opened.network, opened.network_settings, opened.parameters) == (network, {}, 650)
        model = opened.target.model(DIGITS, ())
        assert model.network.layer.bias.tolist() == [bias] * 10  # type: ignore[union-attr, operator]

    def test_of_torchs_own_class_the_function_names_it(self, module: WriteModule, opens: Opens) -> None:
        opened = opens(f"{module(NET)}:plain")
        assert opened.network == "plain"
        assert opened.provenance["class"] == "Sequential"

    def test_a_dotted_name(self, module: WriteModule, opens: Opens) -> None:
        assert opens(f"{module(NET)}:Zoo.best").network == "Net"

    def test_a_file_with_its_neighbours(self, elsewhere: Path, opens: Opens) -> None:
        folder = elsewhere / "code"
        folder.mkdir()
        (folder / "neighbour_of_users.py").write_text("CLASSES = 10\n")
        body = "from torch import nn\nfrom neighbour_of_users import CLASSES\n"
        (folder / "net.py").write_text(
            f"{body}def make():\n    return nn.Sequential(nn.Flatten(), nn.Linear(64, CLASSES))\n"
        )
        opened = opens("code/net.py:make")
        assert opened.target.label == "code/net.py:make"
        assert str(folder) not in sys.path

    def test_a_package_that_is_installed(self, opens: Opens, module: WriteModule) -> None:
        name = module("def make():\n    from tests.harness.targets.conftest import trained\n    return trained()")
        torch.testing.assert_close(logits(opens(f"{name}:make"), pixels()), trained()(pixels()).detach())


class TestTheSameModelEachTime:
    def test_random_weights_do_not_depend_on_the_global_state(self, module: WriteModule, opens: Opens) -> None:
        target = f"{module(NET)}:plain"
        first = opens(target)
        torch.rand(7)
        state = torch.get_rng_state()
        assert opens(target).sha256 == first.sha256
        assert torch.equal(torch.get_rng_state(), state)

    def test_weights_that_change_are_noticed(self, module: WriteModule, opens: Opens) -> None:
        opened = opens(f"{module(COUNTING)}:make")
        with pytest.raises(TargetError, match="gave another model than when it was opened"):
            opened.target.verified(DIGITS, (), opened.sha256)

    def test_code_is_part_of_what_identifies_it(self, elsewhere: Path, module: WriteModule, opens: Opens) -> None:
        name = module(NET)
        first = opens(f"{name}:plain")
        (elsewhere / f"{name}.py").write_text((elsewhere / f"{name}.py").read_text() + "\n# flip = True\n")
        with pytest.raises(TargetError, match=r"the source of .* changed since it was opened; run the command again"):
            first.target.model(DIGITS, ())
        assert opens(f"{name}:plain").sha256 != first.sha256

    def test_a_file_that_moves_is_the_same_model(self, elsewhere: Path, opens: Opens) -> None:
        text = "from torch import nn\ndef make():\n    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))\n"
        for folder in ("one", "two"):
            (elsewhere / folder).mkdir()
            (elsewhere / folder / "net.py").write_text(text)
        assert opens("one/net.py:make").sha256 == opens("two/net.py:make").sha256


def build_elsewhere(targets: list[tuple[Target, str]], images: Tensor) -> list[Tensor]:
    """In a fresh process: another directory, nothing imported."""
    os.chdir("/")
    return [target.verified(DIGITS, (), sha256)(images) for target, sha256 in targets]


def test_a_spawned_process_builds_the_same_models(module: WriteModule, opens: Opens, elsewhere: Path) -> None:
    torch.save({"model": trained().state_dict()}, "net.pt")
    (elsewhere / "net.py").write_text(f"from torch import nn\n{NET}")
    opened = [opens("net.pt"), opens(f"{module(NET)}:make"), opens("net.py:plain")]
    here = [logits(o, pixels()) for o in opened]
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        there = pool.apply(build_elsewhere, ([(o.target, o.sha256) for o in opened], pixels()))
    torch.testing.assert_close(there, here)


class TestRefused:
    def test_no_such_module(self, module: WriteModule, refusal: Refusal) -> None:
        name = module(NET)
        line = refusal(f"{name[:-1]}x:make")
        assert f"there is no module '{name[:-1]}x'" in line
        assert "did you mean" in line

    def test_no_such_name_has_near_misses(self, module: WriteModule, refusal: Refusal) -> None:
        line = refusal(f"{module(NET)}:mkae")
        assert "has no 'mkae'; did you mean 'make'?" in line

    def test_no_such_file(self, refusal: Refusal) -> None:
        assert "there is no file" in refusal("nowhere/net.py:make")

    @pytest.mark.parametrize("text", ["net:", ":make", "net:3", "net:make()", "net.py:"])
    def test_not_written_so(self, text: str, refusal: Refusal) -> None:
        assert "write module:factory or FILE.py:factory" in refusal(text)

    @pytest.mark.parametrize(
        ("body", "told"),
        [
            ("raise ValueError('no\\nweights')", "importing users_network_{} raised ValueError: no weights"),
            ("import nothing_of_that_name", "raised ModuleNotFoundError: No module named 'nothing_of_that_name'"),
            (
                "import harness.network",
                "ModuleNotFoundError: harness.network is now harness.plugin.network: change the",
            ),
            ("raise SystemExit(3)", "raised SystemExit: 3"),
            ("def make(:", "raised SyntaxError: "),
            ("def make():\n    raise RuntimeError('x' * 999)", "calling it raised RuntimeError: xxx"),
            ("def make():\n    exit()", "calling it raised SystemExit"),
            ("def make(width):\n    return nn.Identity()", "make() missing 1 required positional argument: 'width'"),
            ("def make():\n    return 3", "gave a int; it must give a torch.nn.Module"),
            ("make = {'a': 1}", "gave a dict; it must give a torch.nn.Module"),
            ("def make():\n    return lambda x: x", "gave a function; it must give a torch.nn.Module"),
        ],
        ids=str,
    )
    def test_what_the_users_code_raises_is_told(
        self, body: str, told: str, module: WriteModule, refusal: Refusal
    ) -> None:
        name = module(body)
        assert told.format(name.rpartition("_")[2]) in refusal(f"{name}:make")

    def test_a_folder_of_the_users_may_have_the_name_of_a_part_of_harness(
        self, elsewhere: Path, module: WriteModule, opens: Opens
    ) -> None:
        (elsewhere / "attacks").mkdir()
        (elsewhere / "attacks" / "__init__.py").write_text("")
        (elsewhere / "attacks" / "mine.py").write_text(f"import torch\nfrom torch import nn\n{NET}")
        opens(f"{module('from attacks.mine import make')}:make")
        assert "pgd" in discover("attacks").found
        assert str(elsewhere) not in sys.path

    def test_an_arch_or_a_setting(self, module: WriteModule, refusal: Refusal) -> None:
        name = module(NET)
        assert "--arch resnet18 is refused" in refusal(f"{name}:make", network_name="resnet18")
        assert "--set width=... is refused" in refusal(f"{name}:make", network_values={"width": 3})


NORMALISING = {
    "buffers": (
        "class Normalize(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n"
        "        self.register_buffer('mean', torch.tensor([0.5]))\n"
        "        self.register_buffer('std', torch.tensor([0.2]))\n"
        "    def forward(self, x):\n        return (x - self.mean) / self.std\n"
        "def make():\n    return nn.Sequential(Normalize(), nn.Flatten(), nn.Linear(64, 10))"
    ),
    "torchvision": (
        "from torchvision.transforms import Normalize\n"
        "def make():\n    return nn.Sequential(Normalize([0.5], [0.2]), nn.Flatten(), nn.Linear(64, 10))"
    ),
}


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=pytest.mark.slow if kind == "torchvision" else ()) for kind in NORMALISING]
)
def test_a_network_that_normalises_by_itself_is_not_normalised_twice(
    kind: str, module: WriteModule, opens: Opens, refusal: Refusal
) -> None:
    name = module(NORMALISING[kind])
    opens(f"{name}:make")
    line = refusal(f"{name}:make", preprocessing=Preprocessing(mean=(0.5,), std=(0.2,)))
    assert "has a normalising layer of its own" in line
    assert "leave them out" in line


def test_what_the_users_code_prints_stays_off_standard_output(
    module: WriteModule, opens: Opens, capsys: pytest.CaptureFixture[str]
) -> None:
    opens(f"{module('print(1)' + NET + LOUD)}:loud")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.split() == ["1", "2"]

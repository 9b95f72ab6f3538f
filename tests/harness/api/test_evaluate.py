"""``harness.evaluate``: exact figures, the verdicts of the command line, and a model that stays as it was."""

from __future__ import annotations

import copy
import json
import os
import random
import shutil
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import harness
from harness.data.digits import Digits
from harness.store.store import Store
from tests.command import exit_code
from tests.harness.api import live
from tests.harness.api.live import Breaks, Scaled, make_scaled

FAST: dict[str, Any] = {"attacks": ["pgd"], "seeds": 2, "checks": False}
ROOT = str(Path(harness.__file__).parents[1])
LINE = "--dataset digits --attacks pgd --seeds 2 --limit 30 --no-checks"


def some_images(count: int = 12, classes: int = 10) -> tuple[Tensor, Tensor]:
    draws = torch.Generator().manual_seed(0)
    x = 0.3 + 0.4 * torch.rand(count, 1, 8, 8, generator=draws)
    return x, torch.randint(classes, (count,), generator=draws)


class TestFigures:
    def test_the_head_says_what_was_attacked(self) -> None:
        x, y = some_images()
        report = harness.evaluate(make_scaled(), x=x, y=y, epsilon="8/255", **FAST)
        head = repr(report).splitlines()[0]
        assert head.startswith("Scaled on given ")
        assert head.endswith(", 12 test images, epsilon 8/255 (Linf)")

    def test_a_linear_model_of_two_classes_has_its_exact_robust_accuracy(self) -> None:
        """Right within epsilon if and only if the margin of the logits exceeds epsilon times an L1 norm."""
        model, epsilon = make_scaled(classes=2).eval(), 0.02
        x, y = some_images(200, classes=2)
        with torch.no_grad():
            logits = model(x)
        weights = model.scale * (model.linear.weight[0] - model.linear.weight[1])
        margins = (logits[:, 0] - logits[:, 1]) * (1 - 2 * y)
        exact = (margins > epsilon * weights.abs().sum()).numpy()
        report = harness.evaluate(model, x=x, y=y, epsilon=epsilon, attacks="pgd,fgsm", seeds=2, checks=False)
        assert 0.05 < exact.mean() < 0.95
        for attack in ("pgd", "fgsm"):
            for verdicts in report.verdicts[attack]:
                np.testing.assert_array_equal(verdicts, exact)
            assert report.accuracy_percent[attack] == pytest.approx(100 * exact.mean())
        np.testing.assert_array_equal(report.verdicts["natural"][0], (margins > 0).numpy())
        np.testing.assert_array_equal(report.robust, exact)
        np.testing.assert_array_equal(report.labels, y.numpy())
        np.testing.assert_array_equal(report.positions, np.arange(200))
        assert report.margins["natural"].shape == (1, 200)
        expected = (logits.softmax(1)[:, 0] - logits.softmax(1)[:, 1]) * (1 - 2 * y)
        np.testing.assert_allclose(report.margins["natural"][0], expected.detach(), atol=1e-3)

    def test_the_verdicts_are_those_of_the_command_line(self, tmp_path: Path, capsys: Any) -> None:
        """Image by image: of a file's factory by the command, and of its module; of a data set, and of its images."""
        shutil.copy(live.__file__, tmp_path / "mine.py")
        assert exit_code(f"harness evaluate mine.py:make {LINE} --json") == 0
        (printed,) = json.loads(capsys.readouterr().out)["reports"]
        store = Store.read("leaderboard.db")
        (model,) = store.models()
        held = {(e.attack, e.seed): e.id for e in model.checkpoint.evaluations}
        data = Digits().load(tmp_path)
        x, y = data.pixels(data.test.images), data.test.labels
        named = harness.evaluate(live.make(), "digits", limit=30, **FAST)
        facts: dict[str, Any] = {"epsilon": named.epsilon, "protocol": "digits", "limit": 30}
        given = harness.evaluate(live.make(), x=x.numpy(), y=y.numpy(), **facts, **FAST)
        for report in (named, given):
            for (attack, seed), number in held.items():
                np.testing.assert_array_equal(report.verdicts[attack][seed], list(store.verdicts(number)))
                np.testing.assert_array_equal(report.margins[attack][seed], np.array(store.margins(number), np.float32))
            assert report.document["metrics"] == printed["metrics"]
            np.testing.assert_array_equal(report.labels, y.numpy()[report.positions])
        store.close()
        by_name = harness.evaluate("mine.py:make", "digits", limit=30, workers=1, **FAST)
        assert by_name.document["metrics"] == printed["metrics"]
        assert sorted(path.name for path in tmp_path.iterdir() if path.suffix != ".pyc") == sorted(
            ["mine.py", "leaderboard.db", "runs", *(["__pycache__"] if (tmp_path / "__pycache__").exists() else [])]
        )


def numpy_state() -> list[int]:
    state: Any = np.random.get_state()
    numbers: list[int] = state[1].tolist()
    return numbers


def hooks_of(model: nn.Module) -> list[list[Any]]:
    return [[*part._forward_hooks.values(), *part._forward_pre_hooks.values()] for part in model.modules()]


class TestTheModelStaysAsItWas:
    def test_everything(self) -> None:
        model = make_scaled().train()
        model.linear.eval()
        model.linear.bias.requires_grad_(False)
        x, y = some_images()
        model(x).sum().backward()
        calls: list[str] = []
        model.register_forward_hook(lambda *_: calls.append("called"))
        before = copy.deepcopy(model)
        gradients = [None if p.grad is None else p.grad.clone() for p in model.parameters()]
        hooks = hooks_of(model)
        torch.manual_seed(5)
        np.random.seed(5)
        random.seed(5)
        states = torch.get_rng_state(), numpy_state(), random.getstate()
        x_before, y_before = x.clone(), y.clone()
        harness.evaluate(model, x=x, y=y, epsilon=0.1, **FAST)
        assert [part.training for part in model.modules()] == [part.training for part in before.modules()]
        for (name, one), (_, other) in zip(model.state_dict().items(), before.state_dict().items(), strict=True):
            assert torch.equal(one, other), name
        for one, other, gradient in zip(model.parameters(), before.parameters(), gradients, strict=True):
            assert one.requires_grad == other.requires_grad
            assert (one.grad is None) == (gradient is None)
            assert one.grad is None or gradient is None or torch.equal(one.grad, gradient)
        assert hooks == hooks_of(model)
        assert torch.equal(torch.get_rng_state(), states[0])
        assert (numpy_state(), random.getstate()) == states[1:]
        assert torch.equal(x, x_before)
        assert torch.equal(y, y_before)

    def test_in_training_mode_it_is_evaluated_as_in_evaluation_mode(self) -> None:
        x, y = some_images()
        one, other = (harness.evaluate(make_scaled().train(m), x=x, y=y, epsilon=0.05, **FAST) for m in (True, False))
        np.testing.assert_array_equal(one.verdicts["pgd"], other.verdicts["pgd"])
        np.testing.assert_array_equal(one.margins["pgd"], other.margins["pgd"])

    @pytest.mark.cuda
    @pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
    def test_on_a_gpu_it_is_attacked_there_and_stays_there(self) -> None:
        x, y = some_images(40)
        model = make_scaled().cuda()
        state = torch.cuda.get_rng_state()
        report = harness.evaluate(model, x=x.cuda(), y=y.cuda(), epsilon=0.05, **FAST)
        on_cpu = harness.evaluate(make_scaled(), x=x, y=y, epsilon=0.05, **FAST)
        assert all(parameter.is_cuda for parameter in model.parameters())
        assert torch.equal(torch.cuda.get_rng_state(), state)
        np.testing.assert_array_equal(report.verdicts["natural"], on_cpu.verdicts["natural"])

    def test_two_models_with_the_same_tensors_are_told_apart(self) -> None:
        """Figures of one must not be taken for the other's, also where nothing is stored."""
        x, y = some_images(40)
        one, other = make_scaled(scale=1.0), make_scaled(scale=-1.0)
        natural = [harness.evaluate(m, x=x, y=y, epsilon=0.1, attacks="natural", checks=False) for m in (one, other)]
        for report, model in zip(natural, (one, other), strict=True):
            with torch.no_grad():
                right = model.eval()(x).argmax(1) == y
            np.testing.assert_array_equal(report.verdicts["natural"][0], right.numpy())

    def test_a_module_that_fails_leaves_its_exception(self) -> None:
        x, y = some_images()
        with pytest.raises(harness.ModelFault) as failed:
            harness.evaluate(Breaks(x), x=x, y=y, epsilon=0.1, **FAST)
        text = str(failed.value)
        assert text.startswith("Breaks raised an exception in a pass of 12 images (ValueError: an unusual image)")
        assert "\n" not in text
        assert isinstance(failed.value.__cause__, ValueError)
        assert failed.value.__cause__.__traceback__ is not None


class Closure(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(64, 10)
        self.forward = lambda x: self.linear(x.flatten(1))


class TestRefused:
    @pytest.mark.parametrize(
        ("change", "line"),
        [
            ({"x": None}, "y is given alone"),
            ({"y": None}, "x is given alone"),
            ({"x": None, "y": None}, "the images are missing"),
            ({"dataset": "digits"}, "exclude each other"),
            ({"epsilon": None}, "epsilon is needed"),
            ({"epsilon": 8}, "8/255"),
            ({"x": some_images()[0] * 255}, "divide by 255"),
            ({"x": some_images()[0] + 0.31}, "clip them"),
            ({"x": (some_images()[0] * 255).to(torch.uint8)}, "uint8"),
            ({"x": some_images()[0] - 0.5}, "must lie in [0, 1]"),
            ({"x": some_images()[0] * float("nan")}, "NaN"),
            ({"x": some_images()[0][0]}, "give (n, channels, height, width)"),
            ({"x": some_images()[0].reshape(12, 16, 2, 2)}, "channels last"),
            ({"x": some_images()[0][:0], "y": some_images()[1][:0]}, "x is empty"),
            ({"x": "images"}, "x is a str"),
            ({"x": np.array([None])}, "no array of numbers"),
            ({"y": some_images()[1][:5]}, "12 images and y has 5 labels"),
            ({"y": some_images()[1].float()}, "must be integers"),
            ({"y": some_images()[1] - 20}, "labels count from 0"),
            ({"y": some_images()[1] + 5}, "the model has 10 classes"),
            ({"y": torch.nn.functional.one_hot(some_images()[1])}, "y.argmax(1)"),
            ({"attacks": "pdg"}, "did you mean 'pgd'"),
            ({"seeds": 1.5}, "whole number"),
            ({"limit": 13}, "has 12 test images"),
            ({"arch": "resnet18"}, "arch is for weights files"),
            ({"norm": "L7"}, "L7"),
            ({"epsilon": np.float32(8 / 255)}, "epsilon is refused as float32, which is rounded"),
            ({"epsilon": torch.tensor(8 / 255)}, "give a Python number or a text"),
            ({"outputs": "probabilities"}, "rows do not sum to 1"),
            ({"model": lambda x: x}, "model is a function"),
            ({"model": nn.Linear(3, 4)}, "does not take the data set's images"),
            ({"model": Closure()}, "through a closure"),
            ({"model": "12", "x": None, "y": None}, "give db="),
            ({"model": "none.pt", "x": None, "y": None}, "none.pt"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_in_one_line_and_nothing_is_written(self, change: dict[str, Any], line: str, tmp_path: Path) -> None:
        x, y = some_images()
        given: dict[str, Any] = {"model": make_scaled(), "x": x, "y": y, "epsilon": 0.1}
        with pytest.raises(harness.HarnessError) as refused:
            harness.evaluate(**(given | FAST | change))
        assert line in str(refused.value)
        assert "\n" not in str(refused.value)
        assert list(tmp_path.iterdir()) == []


class TestStored:
    def test_only_where_a_database_is_given_and_once(self, tmp_path: Path) -> None:
        first = harness.evaluate(make_scaled(), "digits", limit=20, db="a.db", name="ours", **FAST)
        again = harness.evaluate(make_scaled(), "digits", limit=20, db="a.db", **FAST)
        assert again.document == first.document
        assert any("from the store" in note for note in again.notes)
        with harness.open("a.db") as results:
            (model,) = results.models()
            assert model["method"] == "ours"
            assert len(results.verdicts(attack="pgd")) == 2 * 20

    @pytest.mark.slow
    def test_a_script_that_names_its_database_has_one_model(self, tmp_path: Path) -> None:
        """Whose results go to the file that its text names."""
        script = tmp_path / "script.py"
        script.write_text(
            "import torch, harness\n"
            "class Net(torch.nn.Linear):\n"
            "    def forward(self, x):\n"
            "        return super().forward(x.flatten(1))\n"
            "torch.manual_seed(0)\n"
            "net = Net(64, 10)\n"
            "for _ in range(2):\n"
            "    harness.evaluate(net, 'digits', attacks='natural', limit=20, checks=False, db='own.db')\n"
        )
        subprocess.run([sys.executable, str(script)], check=True, cwd=tmp_path, env=os.environ | {"PYTHONPATH": ROOT})
        with harness.open("own.db") as results:
            assert [row["method"] for row in results.models()] == ["Net"]

    def test_another_number_is_another_model(self) -> None:
        for scale in (2.0, 3.0):
            harness.evaluate(make_scaled(scale=scale), "digits", limit=20, db="a.db", attacks="natural", checks=False)
        with harness.open("a.db") as results:
            assert sorted(row["method"] for row in results.models()) == ["Scaled", "Scaled (2)"]

    def test_what_nothing_identifies_is_refused(self, tmp_path: Path) -> None:
        model = make_scaled()
        model.scale = object()  # type: ignore[assignment]
        with pytest.raises(harness.HarnessError, match="its attribute scale is a object, which nothing identifies"):
            harness.evaluate(model, "digits", db="a.db", **FAST)
        namespace: dict[str, Any] = {"__name__": "__main__", "Scaled": Scaled}
        exec("class Typed(Scaled):\n    pass", namespace)
        with pytest.raises(harness.HarnessError, match="the source of Typed is in no file"):
            harness.evaluate(namespace["Typed"](), "digits", db="a.db", **FAST)
        model = make_scaled()
        patched: dict[str, Any] = {}
        exec("def forward(self, x):\n    return self.linear(x.flatten(1))", patched)
        model.forward = types.MethodType(patched["forward"], model)  # type: ignore[method-assign]
        with pytest.raises(harness.HarnessError, match="the source of forward is in no file"):
            harness.evaluate(model, "digits", db="a.db", **FAST)
        assert list(tmp_path.iterdir()) == []

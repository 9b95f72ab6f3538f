"""A bank of models that are no classifiers of these images: one line says what is wrong and what to do."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from harness.attacks.pgd import PGD
from harness.attacks.square import Square
from harness.plugin.network import Shape
from harness.plugin.threat import Threat
from harness.rigour.checks import examine_model
from harness.targets.preprocessing import Preprocessing
from tests.harness.targets.conftest import Opens, Refusal, WriteModule, logits, pixels
from tests.tiny import draws

# what forward returns; `logits` are those of a linear network of ten classes on 64 pixels
RETURNS = {
    "(logits, x)": ["returns a tuple of 2", "module:factory"],
    "[logits]": ["returns a list of 1", "module:factory"],
    "{'logits': logits, 'features': x}": ["returns a mapping with the keys logits, features", "module:factory"],
    "None": ["returns a NoneType"],
    "logits.argmax(1)": ["returns int64, and must return floating-point logits", "class numbers"],
    "logits > 0": ["returns bool, and must return floating-point logits"],
    "logits[:, :1]": ["tells 1 classes apart, and the data set has 10", "--dataset"],
    "torch.cat([logits] * 10, 1)": ["tells 100 classes apart, and the data set has 10", "columns"],
    "logits[0]": ["returns the shape (10,) for 6 image(s)", "(batch, classes), here (6, 10)"],
    "logits[:3]": ["returns the shape (3, 10) for 6 image(s)"],
    "logits.view(-1, 10, 1, 1)": ["returns the shape (6, 10, 1, 1)"],
    "logits.sum()": ["returns the shape ()"],
    "logits.squeeze()": ["returns the shape (10,) for 1 image(s)", "here (1, 10)"],
    "logits * float('nan')": ["returns NaN or infinity on 6 of 6 images", "pixels in [0, 1]"],
    "logits / x.flatten(1)[:, :1].gt(x.mean())": ["returns NaN or infinity on"],
    "logits.softmax(1)": ["returns probabilities", "--outputs probabilities"],
    "logits.softmax(1).half()": ["returns probabilities", "--outputs probabilities"],
    "nn.functional.one_hot(logits.argmax(1), 10).float()": ["returns probabilities"],
    "logits.double() * 1e300": ["returns NaN or infinity on 6 of 6 images"],
    "torch.from_numpy(logits.numpy())": ["does not let a gradient through to the images", "RuntimeError", "x.detach()"],
    "exit(3)": ["does not take the data set's images, 1x8x8", "SystemExit: 3"],
    "undefined": ["does not take the data set's images, 1x8x8", "NameError: name 'undefined' is not defined"],
}


@pytest.fixture
def returning(module: WriteModule) -> WriteModule:
    def write(expression: str) -> str:
        name = module(
            "class Net(nn.Module):\n"
            "    def __init__(self):\n        super().__init__()\n        self.layer = nn.Linear(64, 10)\n"
            f"    def forward(self, x):\n        logits = self.layer(x.flatten(1))\n        return {expression}"
        )
        return f"{name}:Net"

    return write


@pytest.mark.parametrize("expression", RETURNS)
def test_what_is_no_logits_is_refused(expression: str, returning: WriteModule, refusal: Refusal) -> None:
    line = refusal(returning(expression))
    for told in RETURNS[expression]:
        assert told in line


@pytest.mark.parametrize("expression", ["logits", "logits.double()", "logits.log_softmax(1)", "logits.relu()"])
def test_logits_of_any_kind_are_taken_and_become_float32(expression: str, returning: WriteModule, opens: Opens) -> None:
    assert logits(opens(returning(expression)), pixels()).dtype == torch.float32


NETWORKS = {
    "nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 10))": ["1x8x8", "to have 3 channels"],
    "nn.Sequential(nn.Flatten(), nn.LazyLinear(10))": ["has lazy layers without weights", "load the weights then"],
    "nn.Sequential(nn.Flatten(), nn.Linear(784, 10))": ["does not take the data set's images, 1x8x8", "resizes inside"],
    "nn.Sequential(nn.Conv2d(1, 4, 11), nn.Flatten(), nn.Linear(4, 10))": ["does not take", "--dataset"],
}


@pytest.mark.parametrize("network", NETWORKS)
def test_a_network_for_other_images_is_refused(network: str, module: WriteModule, refusal: Refusal) -> None:
    line = refusal(f"{module(f'def make():{chr(10)}    return {network}')}:make")
    for told in NETWORKS[network]:
        assert told in line


UNMOVED = {
    "logits.detach()": "the graph is cut",
    "torch.arange(10.0).expand(len(x), -1)": "the image is ignored",
    "torch.inference_mode()(lambda: self.layer(x.flatten(1)))()": "inference mode",
}


@pytest.mark.parametrize("expression", UNMOVED)
def test_a_network_without_gradient_is_attacked_by_a_gradient_of_zeros(
    expression: str, returning: WriteModule, opens: Opens
) -> None:
    opened = opens(returning(expression))
    model = opened.target.verified(Shape(1, 8, 8, 10), (), opened.sha256)
    x = pixels()
    before = model(x)
    for attack in (PGD(), Square()):  # the package writes into the logits that it is given
        threat = Threat(epsilon=0.1, steps=2, step_size=0.05, start="none")
        x_adv = attack.perturb(model, x, before.argmax(1), threat, draws())
        if isinstance(attack, PGD):
            assert torch.equal(x_adv, x)
    assert torch.equal(model(x), before)


def test_a_network_that_changes_as_it_is_looked_at_is_opened_for_the_checks_to_flag(
    module: WriteModule, opens: Opens
) -> None:
    name = module(
        "class Net(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n"
        "        self.norm, self.layer = nn.BatchNorm2d(1), nn.Linear(64, 10)\n"
        "    def forward(self, x):\n        self.train()\n        return self.layer(self.norm(x).flatten(1))"
    )
    opened = opens(f"{name}:Net")
    model = opened.target.verified(Shape(1, 8, 8, 10), (), opened.sha256)
    threat = Threat(epsilon=0.1, steps=2, step_size=0.05, start="uniform")
    findings = {f.check: f for f in examine_model(model, pixels(n=40), torch.zeros(40).long(), threat)}
    assert findings["training-mode"].status == "flagged"
    assert "network.norm.running_mean" in findings["training-mode"].reason


class TestProbabilities:
    def test_are_taken_with_the_option(self, returning: WriteModule, opens: Opens) -> None:
        target = returning("logits.softmax(1)")
        opened = opens(target, preprocessing=Preprocessing(outputs="probabilities"))
        assert opened.provenance["preprocessing"]["outputs"] == "probabilities"
        model = opened.target.model(Shape(1, 8, 8, 10), ())
        torch.testing.assert_close(model(pixels()).exp(), model.network(pixels()))

    def test_logits_are_refused_with_it(self, returning: WriteModule, refusal: Refusal) -> None:
        line = refusal(returning("logits"), preprocessing=Preprocessing(outputs="probabilities"))
        assert "--outputs probabilities is refused" in line
        assert "do not sum to 1; leave it out" in line


class Half(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(64, 10).half()

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.layer(x.flatten(1))
        return result


def test_a_network_in_half_precision_is_brought_to_float32_and_told(opens: Opens, module: WriteModule) -> None:
    name = module("from tests.harness.targets.test_conformity import Half")
    opened = opens(f"{name}:Half")
    assert opened.provenance["converted_to_float32"] == ["float16"]
    model = opened.target.model(Shape(1, 8, 8, 10), ())
    assert {t.dtype for t in model.parameters()} == {torch.float32}


def test_of_a_data_parallel_model_the_model_is_taken(module: WriteModule, opens: Opens) -> None:
    plain = "nn.Sequential(nn.Flatten(), nn.Linear(64, 10))"
    name = module(f"def make():\n    return nn.DataParallel({plain})\n")
    model = opens(f"{name}:make").target.model(Shape(1, 8, 8, 10), ())
    assert isinstance(model.network, nn.Sequential)


def test_of_a_compiled_model_the_model_is_taken(module: WriteModule, opens: Opens) -> None:
    name = module("plain = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))\ncompiled = torch.compile(plain)\n")
    opened = opens(f"{name}:compiled")
    model = opened.target.model(Shape(1, 8, 8, 10), ())
    assert isinstance(model.network, nn.Sequential)
    x = pixels().requires_grad_()
    loss = model(x).sum()
    torch.autograd.grad(loss, x, retain_graph=True)  # as the checks ask for the gradients of two losses


def test_images_of_one_are_enough(returning: WriteModule, opens: Opens) -> None:
    one = torch.rand(1, 1, 8, 8, generator=draws())
    assert opens(returning("logits"), images=one).parameters == 650

"""Models as people bring them: each works as it is written, or gets one line that says what to type."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from harness.targets.prepared import held
from harness.targets.preprocessing import Preprocessing
from tests.harness.targets.conftest import DIGITS, Opens, Refusal, WriteModule, pixels
from tests.harness.targets.models import TWO, WEIGHTS, Change, Linear, gradient, prepared
from tests.tiny import draws


class TestMinusInfinity:
    def test_by_hand(self) -> None:
        logits = torch.tensor([[1.0, -torch.inf, 3.0], [-torch.inf, -torch.inf, 5.0], [1.0, 2.0, 3.0]])
        expected = torch.tensor([[1.0, 1 - 1e4, 3.0], [5 - 1e4, 5 - 1e4, 5.0], [1.0, 2.0, 3.0]])
        assert torch.equal(held(logits), expected)
        assert torch.equal(held(logits).softmax(1), logits.softmax(1))

    @pytest.mark.parametrize("value", [1e12, -1e12, 1e30, -1e30])
    def test_beside_a_huge_logit_no_masked_class_is_chosen(self, value: float) -> None:
        logits = torch.tensor([[-torch.inf, value, -torch.inf]])
        assert held(logits).isfinite().all()
        assert held(logits).softmax(1).tolist() == [[0.0, 1.0, 0.0]]

    def test_beside_the_lowest_number_a_mask_is_that(self) -> None:
        lowest = torch.finfo(torch.float32).min
        assert held(torch.tensor([[-torch.inf, lowest, 1.0]])).tolist() == [[lowest, lowest, 1.0]]

    def test_a_row_without_a_number_and_what_is_no_mask_stay(self) -> None:
        logits = torch.tensor([[-torch.inf, -torch.inf], [torch.nan, 1.0], [torch.inf, 1.0]])
        assert torch.equal(held(logits).nan_to_num(7), logits.nan_to_num(7))

    def test_gradients_are_those_of_the_other_classes(self) -> None:
        class Masked(Change):
            def forward(self, x: Tensor) -> Tensor:
                logits: Tensor = self.net(x)
                return logits.masked_fill(torch.arange(10) == 9, -torch.inf)

        class Without(Change):
            def forward(self, x: Tensor) -> Tensor:
                logits: Tensor = self.net(x)
                return logits[:, :9]

        masked, without = prepared(Masked(Linear())), Without(Linear())
        torch.testing.assert_close(gradient(masked, pixels()), gradient(without, pixels()))


MODELS = {
    "a first layer in place": "nn.Sequential(nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(64, 10))",
    "in place without a layer": "InPlace()",
    "compiled in place": "compiled(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)))",
    "a compiled part": "nn.Sequential(nn.Flatten(), torch.compile(nn.Linear(64, 10), backend='aot_eager'))",
    "a part compiled deep inside": "nn.Sequential(nn.Flatten(), nn.Sequential(compiled(nn.Linear(64, 10))))",
    "a compiled function": "Calls()",
    "exported": "exported()",
    "scripted": "torch.jit.trace(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)).eval(), torch.zeros(2, 1, 8, 8))",
    "doubles that it casts itself": "Cast(torch.float64)",
    "halves that it casts itself": "Cast(torch.bfloat16)",
    "a mask of -inf": "Masked()",
    "at most 4": "AtMost()",
}
BODY = """
from torch.utils.checkpoint import checkpoint

def compiled(net):
    net.compile(backend="aot_eager")
    return net

def exported():
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10)).eval()
    sizes = ({0: torch.export.Dim("n")},)
    return torch.export.export(net, (torch.zeros(2, 1, 8, 8),), dynamic_shapes=sizes).module()

class Base(nn.Module):
    def __init__(self, dtype=torch.float32):
        super().__init__()
        self.net, self.dtype = nn.Linear(64, 10).to(dtype), dtype

class InPlace(Base):
    def forward(self, x):
        x -= 0.5
        return self.net(x.clamp_(-0.4, 0.4).flatten(1))

@torch.compile(backend="aot_eager")
def squared(x):
    return x * x

class Calls(Base):
    def forward(self, x):
        return self.net(squared(x).flatten(1))

class Cast(Base):
    def forward(self, x):
        return self.net(x.flatten(1).to(self.dtype))

class Masked(Base):
    def forward(self, x):
        return self.net(x.flatten(1)).masked_fill(torch.arange(10) == 9, -torch.inf)

class AtMost(Base):
    def forward(self, x):
        if len(x) > 4:
            raise RuntimeError("at most 4")
        return self.net(x.flatten(1))

class Reentrant(Base):
    def forward(self, x):
        return checkpoint(self.net, x.flatten(1), use_reentrant=True)

class Adapting(Base):
    def __init__(self):
        super().__init__()
        self.optimizer = torch.optim.SGD(self.net.parameters(), 1e-3)
    @torch.enable_grad()
    def forward(self, x):
        p = self.net(x.flatten(1)).softmax(1)
        (-(p * p.log()).sum(1).mean()).backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        return self.net(x.flatten(1))

class Writing(Base):
    def forward(self, x):
        self.net.weight.data += 0.01
        return self.net(x.flatten(1))

class One(Base):
    def forward(self, x):
        return self.net(x.flatten(1))[:, :1]

class Flat(Base):
    def forward(self, x):
        return self.net(x.flatten(1))[:, 0].sigmoid()

def make():
    return MODEL
"""


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
@pytest.mark.filterwarnings("ignore")  # torch's own, of tracing and of exporting
def test_it_opens_is_built_again_and_lets_gradients_through_many_times(
    model: str, module: WriteModule, opens: Opens
) -> None:
    opened = opens(f"{module(BODY.replace('MODEL', model))}:make")
    again = opened.target.verified(DIGITS, (), opened.sha256, opened.probe)
    x = pixels()
    before = x.clone()
    first, second = gradient(again, x), gradient(again, x)
    assert torch.equal(first, second)
    assert bool(first.isfinite().all())
    assert bool((first != 0).any())
    assert torch.equal(x, before)
    assert again(x).dtype == torch.float32
    again.train().eval()


def test_types_that_it_keeps_are_told_and_part_of_its_identity(module: WriteModule, opens: Opens) -> None:
    opened = opens(f"{module(BODY.replace('MODEL', 'Cast(torch.float64)'))}:make")
    assert opened.provenance["own_types"] == "kept, float64: it does not run in float32"
    plain = opens(f"{module(BODY.replace('MODEL', 'Cast(torch.float32)'))}:make")
    assert "own_types" not in plain.provenance


@pytest.mark.parametrize("name", ["Adapting", "Writing"])
def test_a_model_that_adapts_is_refused(name: str, module: WriteModule, refusal: Refusal) -> None:
    line = refusal(f"{module(BODY)}:{name}")
    assert "changes its own weights in a pass (network.net.weight" in line
    assert "give a factory that returns the network without the adaptation" in line


def test_reentrant_checkpoints_are_refused_with_what_to_write(module: WriteModule, refusal: Refusal) -> None:
    assert "write use_reentrant=False in its checkpoint(...) calls" in refusal(f"{module(BODY)}:Reentrant")


class TestBinary:
    def test_one_value_is_refused_with_what_to_type(self, module: WriteModule, refusal: Refusal) -> None:
        name = module(BODY)
        for model in ("One", "Flat"):
            line = refusal(f"{name}:{model}", shape=TWO)
            assert "--outputs binary-logit" in line
            assert "--outputs binary-probability" in line
        wrong = Preprocessing(outputs="binary-logit")
        assert "the data set has 10 classes, and it takes 2" in refusal(f"{name}:One", preprocessing=wrong)

    def test_the_logit_and_the_probability_are_one_model(self, module: WriteModule, opens: Opens) -> None:
        name = module(BODY)
        logit = opens(f"{name}:One", shape=TWO, preprocessing=Preprocessing(outputs="binary-logit"))
        share = opens(f"{name}:Flat", shape=TWO, preprocessing=Preprocessing(outputs="binary-probability"))
        one, other = (opened.target.model(TWO, ()) for opened in (logit, share))
        torch.testing.assert_close(one(pixels()).softmax(1), other(pixels()).softmax(1))
        torch.testing.assert_close(gradient(one, pixels()), gradient(other, pixels()), rtol=1e-4, atol=1e-6)
        assert logit.provenance["outputs"] == "binary-logit: the one output is that of the second class"

    def test_a_linear_networks_robust_accuracy_in_closed_form(self) -> None:
        """Within the box around x in [0, 1] the logit of the true class falls by its weights' sign alone."""
        from harness.attacks.pgd import PGD
        from harness.evaluator import evaluate
        from harness.plugin.threat import Threat

        class OneLogit(Change):
            def forward(self, x: Tensor) -> Tensor:
                logits: Tensor = self.net(x)
                return logits[:, 1:2] - logits[:, :1]

        x = torch.rand(60, 1, 8, 8, generator=draws(5))
        y, epsilon = torch.arange(60) % 2, 0.02
        direction = (WEIGHTS[1] - WEIGHTS[0]) * torch.where(y == 1, 1.0, -1.0)[:, None]
        corner = torch.where(
            direction > 0, (x.flatten(1) - epsilon).clamp(min=0), (x.flatten(1) + epsilon).clamp(max=1)
        )
        exact = (direction * corner).sum(1) > 0
        assert 5 < int(exact.sum()) < 55
        threat = Threat(epsilon=epsilon, steps=20, step_size=epsilon / 4, start="uniform")
        model = prepared(OneLogit(Linear()), outputs="binary-logit")
        assert torch.equal(evaluate(model, PGD(), x, y, threat, draws()).correct, exact)

"""FILE:KEY and what lies beside the chosen part: told, and refused where it may act on the images.

Each file is of one network, so its logits say what was opened: the network on images as they are, or on
(x - 0.3) / 0.4.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from harness.targets.preprocessing import Preprocessing
from tests.harness.targets.conftest import Opens, Refusal, logits, pixels
from tests.harness.targets.given import expected, state

GIVEN = Preprocessing(mean=(0.3,), std=(0.4,))
SCALES = {"offset": torch.tensor([0.3]), "scale": torch.tensor([0.4])}


def below(prefix: str, tensors: dict[str, Tensor] = SCALES) -> dict[str, Tensor]:
    return {f"{prefix}{name}": tensor for name, tensor in tensors.items()}


KERNEL = {"0.weight": torch.ones(1, 1, 3, 3)}
IN_FRONT: dict[str, tuple[Any, str, str]] = {
    "offsets and scales": ({**below("norm."), **state("net.")}, "net", "norm.offset, norm.scale"),
    "a denoiser": ({**below("denoiser.", KERNEL), **state("classifier.")}, "classifier", "denoiser.0.weight"),
    "a layer of a Sequential": ({"0.weight": torch.ones(1, 1, 1, 1), **state("1.")}, "1", "0.weight"),
    "a parameter of the wrapper": ({**SCALES, **state("net.")}, "net", "offset, scale"),
    "a step of a quantiser": ({"step": torch.tensor(0.5), **state("net.")}, "net", "step"),
    "a normalisation by batch": ({"bn.running_mean": torch.zeros(1), **state("net.")}, "net", "bn.running_mean"),
    "within a wrapper": ({**below("module.norm."), **state("module.net.")}, "module.net", "module.norm.offset"),
    "a denoiser whose first layer is its head": (
        {**below("sr.head."), **below("sr.body."), **state("net.")},
        "net",
        "sr.head.offset, sr.head.scale, sr.body.offset, sr.body.scale",
    ),
    "the name of a module around it": ({"module": torch.ones(1), **state("module.net.")}, "module.net", "module"),
    "a head of convolutions": ({**below("head.", KERNEL), **state("net.")}, "net", "head.0.weight"),
    "by the end of its address": ({**below("module.norm."), **state("module.net.")}, "net", "module.norm.offset"),
    "around the wrapper": ({**below("pre."), **state("module.net.")}, "module", "pre.offset"),
    "compiled": ({**below("_orig_mod.norm."), **state("_orig_mod.net.")}, "net", "norm.offset, norm.scale"),
    "in two mappings": ({"a": {"model": {**below("norm."), **state("net.")}}}, "a.model.net", "norm.offset"),
    "in a tuple": (({**below("norm."), **state("net.")}, {"epoch": 3}), "0.net", "norm.offset"),
    "a key in the middle of a name": ({**below("network.", KERNEL), **state("net.")}, "net", "network.0.weight"),
    "beside a copy": ({**below("pre."), **state("net."), **state("ema.", seed=1)}, "net", "pre.offset, pre.scale"),
    "below the number of the network": (
        {**below("0."), **state("1."), "2.weight": torch.ones(10)},
        "1",
        "0.offset, 0.scale, which",
    ),
}


@pytest.mark.parametrize(("content", "key", "names"), IN_FRONT.values(), ids=IN_FRONT)
def test_what_may_be_in_front_is_refused_until_the_user_says(
    content: Any, key: str, names: str, opens: Opens, refusal: Refusal
) -> None:
    torch.save(content, "net.pt")
    line = refusal(f"net.pt:{key}")
    assert f"net.pt:{key} leaves out {names}" in line
    assert "say --mean and --std, or --no-normalisation" in line
    plain = opens(f"net.pt:{key}", no_normalisation=True)
    given = opens(f"net.pt:{key}", preprocessing=GIVEN)
    torch.testing.assert_close(logits(plain, pixels()), expected(normalised=False), rtol=0, atol=0)
    torch.testing.assert_close(logits(given, pixels()), expected(normalised=True), rtol=1e-5, atol=1e-5)
    for opened in (plain, given):
        assert names.removesuffix(", which") in opened.provenance["left_out"]


ELSEWHERE: dict[str, tuple[Any, str, str]] = {
    "another copy": ({**state("a."), **state("b.", seed=1)}, "a", "the copy at b"),
    "another copy at the top": ({**state("ema."), **state(seed=1)}, "ema", "the copy at ."),
    "what is another copy's": (
        {**state("a.net."), **state("b.net.", seed=1), **below("b.pre.")},
        "a",
        "the copy at b.net, b.pre.offset, b.pre.scale",
    ),
    "a loss": ({**state("net."), "criterion.weight": torch.ones(10)}, "net", "criterion.weight"),
    "a layer behind it": ({**state("0."), "1.weight": torch.ones(10)}, "0", "1.weight"),
    "an auxiliary head": ({**state("net."), "aux_head.weight": torch.ones(10, 4)}, "net", "aux_head.weight"),
    "an optimiser": ({**state("net."), "optimizer.exp_avg": torch.ones(4)}, "net", "optimizer.exp_avg"),
    "of targets": ({**state("net."), **below("target_norm.")}, "net", "target_norm.offset, target_norm.scale"),
    "an average's state": (
        {
            **state("ema_model."),
            **state("online_model.", seed=1),
            "initted": torch.tensor(True),
            "step": torch.tensor(9),
        },
        "ema_model",
        "the copy at online_model, initted, step",
    ),
    "an average with a decay": (
        {**state("model."), **state("model_ema.", seed=1), "model_ema.decay": torch.tensor(0.9)},
        "model",
        "the copy at model_ema, model_ema.decay",
    ),
    "an average's count": ({**state("module."), "n_averaged": torch.tensor(5)}, "module", "n_averaged"),
}


@pytest.mark.parametrize(("content", "key", "told"), ELSEWHERE.values(), ids=ELSEWHERE)
def test_what_is_known_to_lie_elsewhere_is_told(content: Any, key: str, told: str, opens: Opens) -> None:
    torch.save(content, "net.pt")
    opened = opens(f"net.pt:{key}")
    torch.testing.assert_close(logits(opened, pixels()), expected(normalised=False), rtol=0, atol=0)
    assert opened.provenance["left_out"] == told


def test_a_part_with_its_normalisation_inside_is_whole(opens: Opens) -> None:
    pair = {"0.mean": torch.tensor([0.3]), "0.std": torch.tensor([0.4])}
    torch.save({"state_dict": {**below("model.", pair), **state("model.1."), **state("ema.", seed=1)}}, "net.pt")
    for key in ("model", "model.1", "state_dict.model"):
        opened = opens(f"net.pt:{key}")
        torch.testing.assert_close(logits(opened, pixels()), expected(normalised=True), rtol=1e-5, atol=1e-5)
        assert opened.provenance["left_out"] == "the copy at state_dict.ema"


def test_a_normalisation_that_the_file_holds_does_not_stand_for_another_layer(refusal: Refusal) -> None:
    pair = {"normalize.mean": torch.tensor([0.3]), "normalize.std": torch.tensor([0.4])}
    torch.save({**pair, **below("denoiser.", KERNEL), **state("net.")}, "net.pt")
    assert "leaves out denoiser.0.weight, which may act" in refusal("net.pt:net")

"""Values of a network's parameters that a file has twice: equal, or refused until the user chooses.

The logits say which values were opened: those of seed 0 or of seed 1.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.harness.targets.conftest import Opens, Refusal, logits, pixels, trained
from tests.harness.targets.given import expected, state


def parameters(prefix: str = "", dot: str = ".", seed: int = 1) -> dict[str, Tensor]:
    named = trained(seed=seed).named_parameters()
    return {f"{prefix}{name.replace('.', dot)}": tensor.detach() for name, tensor in named}


def listed(seed: int = 1) -> list[Tensor]:
    return list(parameters(seed=seed).values())


def whole(seed: int = 1) -> dict[str, Tensor]:
    return state(seed=seed)


WHOLE: dict[str, tuple[Any, str, str]] = {
    "ema_weights": ({"model": state(), "ema_weights": whole()}, "model", "ema_weights"),
    "swa_weights": ({"model": state(), "swa_weights": whole()}, "model", "swa_weights"),
    "averaged": ({"state_dict": state("module."), "averaged": whole()}, "state_dict", "averaged"),
    "best so far": ({"model": state(), "optimal": whole()}, "model", "optimal"),
    "Lightning's callbacks": (
        {"state_dict": state("model."), "callbacks": {"EMA": {"ema_weights": whole(), "decay": 0.9}}},
        "state_dict",
        "callbacks.EMA.ema_weights",
    ),
    "two mappings down": ({"a": {"b": {"model": state(), "avg": whole()}}}, "a.b.model", "a.b.avg"),
    "in a tuple": ((state(), whole()), "0", "1"),
    "with a module of its own": ({"model": state(), "avg": state("module.", seed=1)}, "model", "avg.module"),
    "with a count of averages": (
        {"model": state(), "ema": {**state("net.", seed=1), "n_averaged": torch.tensor(3)}},
        "model",
        "ema",
    ),
}


@pytest.mark.parametrize(("content", "first", "second"), WHOLE.values(), ids=WHOLE)
def test_a_whole_copy_under_any_key_is_refused_until_one_is_chosen(
    content: Any, first: str, second: str, opens: Opens, refusal: Refusal
) -> None:
    torch.save(content, "net.pt")
    line = refusal("net.pt")
    assert line == f"net.pt holds 2 networks that differ; say which one: net.pt:{first} or net.pt:{second}"
    for key, seed in ((first, 0), (second, 1)):
        opened = opens(f"net.pt:{key}")
        torch.testing.assert_close(logits(opened, pixels()), expected(normalised=False, seed=seed), rtol=0, atol=0)


ALONE: dict[str, tuple[Any, str, str]] = {
    "in a mapping": ({"model": state(), "ema": parameters()}, "model", "ema"),
    "under a key of the author's own": ({"model": state(), "mine": parameters()}, "model", "mine"),
    "underscores for dots": ({**state("model."), **parameters("ema.", "_")}, "model", "ema"),
    "nothing for dots": ({**state("model."), **parameters("model_ema.", "")}, "model", "model_ema"),
    "beside the network at the top": ({**state(), **parameters("ema.", "_")}, ".", "ema"),
    "in a state dict": (
        {"state_dict": {**state("net."), **parameters("ema.", "_")}},
        "state_dict.net",
        "state_dict.ema",
    ),
    "a list": ({"model": state(), "ema": {"decay": 0.9, "shadow_params": listed()}}, "model", "ema.shadow_params"),
    "a tuple": ({"model": state(), "shadow": tuple(listed())}, "model", "shadow"),
    "numbers for names": ({"model": state(), "avg": dict(enumerate(listed()))}, "model", "avg"),
    "torch's ParameterList": ({"model": state(), "avg": nn.ParameterList(listed()).state_dict()}, "model", "avg"),
}


@pytest.mark.parametrize(("content", "first", "second"), ALONE.values(), ids=ALONE)
def test_parameters_alone_are_a_copy_that_lacks_its_statistics(
    content: Any, first: str, second: str, opens: Opens, refusal: Refusal
) -> None:
    torch.save(content, "net.pt")
    line = refusal("net.pt")
    assert line == f"net.pt holds 2 networks that differ; say which one: net.pt:{first} or net.pt:{second}"
    opened = opens(f"net.pt:{first}")
    torch.testing.assert_close(logits(opened, pixels()), expected(normalised=False), rtol=0, atol=0)
    told = [opened.provenance.get("left_out", ""), *opened.provenance.get("other_state_dicts", [])]
    assert any(second in text for text in told)
    line = refusal(f"net.pt:{second}")
    assert f"net.pt:{second} holds the parameters of smallcnn alone, and no buffers (BatchNorm's statistics)" in line
    assert "such as 1.running_mean" in line


EQUAL: dict[str, Any] = {
    "whole": {"model": state(), "ema_weights": state()},
    "parameters": {"model": state(), "ema": parameters(seed=0)},
    "underscores": {**state("model."), **parameters("ema.", "_", seed=0)},
    "a list": {"model": state(), "ema": {"shadow_params": listed(seed=0)}},
    "but for a counter": {"model": state(), "last_state": {**state(), "1.num_batches_tracked": torch.tensor(7)}},
    "compiled and not": {**state(), **state("_orig_mod.")},
}


@pytest.mark.parametrize("content", EQUAL.values(), ids=EQUAL)
def test_equal_values_are_one_network(content: Any, opens: Opens) -> None:
    torch.save(content, "net.pt")
    torch.testing.assert_close(logits(opens("net.pt"), pixels()), expected(normalised=False), rtol=0, atol=0)


NO_COPY: dict[str, Any] = {
    "another network": {"model": state(), "teacher_weights": trained(width=8).state_dict()},
    "some of the parameters": {"model": state(), "heads": {"11.weight": torch.ones(10, 8)}},
    "what an optimiser remembers of each name": {"model": state(), "optimizer": {"exp_avg": parameters()}},
    "lists of other shapes": {"model": state(), "samples": [torch.ones(4, 4), torch.ones(2)]},
}


@pytest.mark.parametrize("content", NO_COPY.values(), ids=NO_COPY)
def test_what_is_no_copy_does_not_stand_in_the_way(content: Any, opens: Opens) -> None:
    torch.save(content, "net.pt")
    torch.testing.assert_close(logits(opens("net.pt"), pixels()), expected(normalised=False), rtol=0, atol=0)


def test_a_running_mean_that_differs_makes_another_copy(refusal: Refusal) -> None:
    torch.save({"model": state(), "other": {**state(), "1.running_mean": torch.ones(4)}}, "net.pt")
    assert refusal("net.pt").endswith("say which one: net.pt:model or net.pt:other")


def test_a_layer_in_front_of_one_makes_another_network_of_it(opens: Opens, refusal: Refusal) -> None:
    torch.save({"model": state(), "ema": {"norm.offset": torch.tensor([0.3]), **state("net.")}}, "net.pt")
    assert refusal("net.pt").endswith("say which one: net.pt:model or net.pt:ema.net")
    assert "leaves out norm.offset" in refusal("net.pt:ema.net")
    for text, said in (("net.pt:model", {}), ("net.pt", {"no_normalisation": True})):
        torch.testing.assert_close(logits(opens(text, **said), pixels()), expected(normalised=False), rtol=0, atol=0)


def test_a_copy_that_no_key_means_is_named_by_its_first_tensor(opens: Opens, refusal: Refusal) -> None:
    torch.save({"model": state(), "ema": parameters("avg_", "_")}, "net.pt")
    assert refusal("net.pt").endswith("say which one: net.pt:model; no key chooses the one that has ema.avg_0_weight")
    opens("net.pt:model")


def test_a_file_of_nothing_but_such_parameters(refusal: Refusal) -> None:
    torch.save(parameters(), "net.pt")
    assert "holds the parameters of smallcnn alone, and no buffers" in refusal("net.pt")
    torch.save({name.replace(".", "_"): tensor for name, tensor in state().items()}, "net.pt")
    assert "holds the tensors of smallcnn under other names, 0_weight for 0.weight" in refusal("net.pt")


def test_two_tensors_of_one_name_are_refused(refusal: Refusal) -> None:
    torch.save({**state(), **state("_orig_mod.", seed=1)}, "net.pt")
    assert "two tensors of the file have the name 0.weight, and they differ" in refusal("net.pt")


def test_tensors_beside_the_model_are_named(opens: Opens) -> None:
    torch.save({"model": state(), "offset": torch.tensor([0.3]), "rng_state": torch.zeros(9).byte()}, "net.pt")
    assert opens("net.pt").provenance["other_tensors"] == ["offset"]

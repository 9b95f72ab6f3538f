"""Layouts of published checkpoints: opened as their authors ran them, or refused until the user says."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from harness.errors import SettingError
from harness.targets.preprocessing import Preprocessing
from tests.harness.targets.conftest import Opens, Refusal, logits, pixels, trained
from tests.harness.targets.given import MEAN, STD, expected, state

PAIR = {"mean": torch.tensor([MEAN]), "std": torch.tensor([STD])}


def named(pair: dict[str, Any], **names: str) -> dict[str, Any]:
    return {names[key]: value for key, value in pair.items()}


BESIDE: dict[str, Any] = {
    "tensors beside": {"model": state(), **PAIR, "epoch": 12},
    "lists": {"model": state(), "mean": [MEAN], "std": [STD]},
    "numbers": {"state_dict": state(), "mean": MEAN, "std": STD},
    "one a channel, as an image": {
        "net": state(),
        "mean": torch.full((1, 1, 1, 1), MEAN),
        "std": torch.full((1,), STD),
    },
    "normalize_mean": {"model": state(), "normalize_mean": [MEAN], "normalize_std": [STD]},
    "data_mean": {"model": state(), "data_mean": [MEAN], "data_std": [STD]},
    "pixel_mean": {"model": state(), "pixel_mean": [MEAN], "pixel_std": [STD]},
    "image_mean": {"model": state(), "image_mean": [MEAN], "image_std": [STD]},
    "beside weights under a key of the author's own": {"polyak": state(), **PAIR, "rng_state": torch.zeros(9)},
    "capitals": {"model": state(), "MEAN": [MEAN], "STD": [STD]},
    "mu and sigma": {"model": state(), "mu": [MEAN], "sigma": [STD]},
    "in a container": {"model": state(), "normalization": {"mean": [MEAN], "std": [STD]}},
    "in the settings": {"model": state(), "config": {"lr": 0.1, "data": {"mean": [MEAN], "std": [STD]}}},
    "in hyper-parameters": {"state_dict": state("model."), "hyper_parameters": {"mean": [MEAN], "std": [STD]}},
    "within the same mapping": {**state(), **PAIR},
    "a layer at the top": {**state("model."), **named(PAIR, mean="normalizer.mean", std="normalizer.std")},
    "MadryLab's attacker model": {
        "model": {
            **{f"module.normalizer.new_{key}": value.view(1, 1, 1) for key, value in PAIR.items()},
            **state("module.model."),
            **{f"module.attacker.normalize.new_{key}": value.view(1, 1, 1) for key, value in PAIR.items()},
            **state("module.attacker.model."),
        },
        "epoch": 3,
        "nat_prec1": torch.tensor(97.0),
        "schedule": None,
    },
    "MAIR's buffers": {"rmodel": {**state("model."), **PAIR, "n_classes": torch.tensor(10)}},
}


@pytest.mark.parametrize("content", BESIDE.values(), ids=BESIDE)
def test_a_normalisation_that_the_file_holds_is_used_and_told(content: Any, opens: Opens) -> None:
    torch.save(content, "net.pt")
    opened = opens("net.pt")
    torch.testing.assert_close(logits(opened, pixels()), expected(normalised=True), rtol=1e-5, atol=1e-5)
    assert opened.provenance["normalisation"].startswith("(x - 0.3) / 0.4, from ")
    given = opens("net.pt", preprocessing=Preprocessing(mean=(MEAN,), std=(STD,)))
    assert given.sha256 == opened.sha256
    plain = opens("net.pt", no_normalisation=True)
    assert plain.provenance["normalisation"] == "none, as asked"
    torch.testing.assert_close(logits(plain, pixels()), expected(normalised=False), rtol=1e-5, atol=1e-5)


NONE: dict[str, Any] = {
    "weights alone": state(),
    "copies that are equal": {"state_dict": {**state("model."), **state("ema_model.")}},
    "Lightning": {
        "state_dict": {**state("model."), "criterion.weight": torch.ones(10), "val_acc.total": torch.tensor(3)},
        "hyper_parameters": {"lr": 0.1},
        "pytorch-lightning_version": "2.5",
        "epoch": 3,
    },
    "AveragedModel": {"swa_state_dict": {**state("module."), "n_averaged": torch.tensor(5)}},
    "timm": {"state_dict_ema": state()},
    "statistics of features": {"model": state(), "mean": torch.zeros(512), "std": torch.ones(512)},
    "an average that is no pixel's": {"model": state(), "metrics": {"mean": 0.3, "std": 0.4}},
    "settings without it": {"model": state(), "config": {"lr": 0.1}},
}


@pytest.mark.parametrize("content", NONE.values(), ids=NONE)
def test_a_file_without_one_says_none(content: Any, opens: Opens) -> None:
    torch.save(content, "net.pt")
    opened = opens("net.pt")
    torch.testing.assert_close(logits(opened, pixels()), expected(normalised=False), rtol=0, atol=0)
    assert opened.provenance["normalisation"] == "none in net.pt"


REFUSED: dict[str, tuple[Any, str]] = {
    "a gap in the numbering": (state("module.1."), "number 1 of a Sequential, .* --no-normalisation if it is none"),
    "a gap without module": (state("1."), "number 1 of a Sequential"),
    "a gap deeper": (state("net.2.model."), "number 2 of a Sequential"),
    "a mean alone": (
        {"model": state(), "mean": [MEAN]},
        "holds mean, and no std that says what to divide by; say --mean and --std, or --no-normalisation",
    ),
    "on the scale of bytes": (
        {"model": state(), "mean": [125.3], "std": [63.0]},
        r"\(125.3\) and \(63\), which is not on the scale",
    ),
    "two that differ": (
        {"model": state(), "mean": [MEAN], "std": [STD], "config": {"mean": [0.5], "std": [0.5]}},
        "normalisations that differ, mean and std; config.mean and config.std; say --mean",
    ),
    "of another number of channels": (
        {**state("model."), "normalize.mean": torch.zeros(3), "normalize.std": torch.ones(3)},
        "with 3 values, and the images have 1 channel",
    ),
}


@pytest.mark.parametrize(("content", "problem"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_told_is_refused_until_the_user_says(
    content: Any, problem: str, opens: Opens, refusal: Refusal
) -> None:
    torch.save(content, "net.pt")
    with pytest.raises(Exception, match=problem):
        opens("net.pt")
    plain = opens("net.pt", no_normalisation=True)
    torch.testing.assert_close(logits(plain, pixels()), expected(normalised=False), rtol=0, atol=0)


def test_a_gap_is_filled_by_what_the_user_gives(opens: Opens) -> None:
    torch.save(state("module.1."), "net.pt")
    opened = opens("net.pt", preprocessing=Preprocessing(mean=(MEAN,), std=(STD,)))
    torch.testing.assert_close(logits(opened, pixels()), expected(normalised=True), rtol=1e-5, atol=1e-5)
    assert opened.provenance["normalisation"] == "(x - 0.3) / 0.4, as given"


def test_a_sequential_without_gap_and_the_gaps_of_the_network_itself_are_none(opens: Opens) -> None:
    torch.save(state("0."), "net.pt")
    assert opens("net.pt").provenance["normalisation"] == "none in net.pt"
    assert "2.weight" not in state()  # smallcnn's activations leave gaps of their own
    torch.save(state(), "net.pt")
    opens("net.pt")


def test_options_that_exclude_each_other(opens: Opens) -> None:
    torch.save(state(), "net.pt")
    with pytest.raises(SettingError, match="exclude each other"):
        opens("net.pt", no_normalisation=True, preprocessing=Preprocessing(mean=(MEAN,), std=(STD,)))


class TestSeveral:
    def test_copies_that_differ_are_refused_and_a_prefix_chooses(self, opens: Opens, refusal: Refusal) -> None:
        torch.save({"state_dict": {**state("model."), **state("ema_model.", seed=1)}}, "net.pt")
        line = refusal("net.pt")
        assert line.endswith("differ; say which one: net.pt:state_dict.model or net.pt:state_dict.ema_model")
        for prefix, seed in (("model", 0), ("ema_model", 1), ("state_dict.model", 0), ("state_dict.ema_model", 1)):
            opened = opens(f"net.pt:{prefix}")
            torch.testing.assert_close(logits(opened, pixels()), expected(normalised=False, seed=seed), rtol=0, atol=0)

    def test_a_prefix_does_not_lose_the_normalisation_in_front(self, opens: Opens) -> None:
        torch.save(BESIDE["MadryLab's attacker model"], "net.pt")
        for prefix in ("module.model", "module.attacker.model"):
            opened = opens(f"net.pt:{prefix}")
            torch.testing.assert_close(logits(opened, pixels()), expected(normalised=True), rtol=1e-5, atol=1e-5)

    def test_a_prefix_does_not_hide_a_gap(self, refusal: Refusal) -> None:
        torch.save({**state("1."), "2.fc.weight": torch.ones(3, 3)}, "net.pt")
        assert "number 1 of a Sequential" in refusal("net.pt:1")

    def test_a_state_dict_under_any_key_is_named_and_can_be_chosen(self, opens: Opens, refusal: Refusal) -> None:
        torch.save({"model": state(), "polyak": state(seed=1)}, "net.pt")
        assert refusal("net.pt").endswith("differ; say which one: net.pt:model or net.pt:polyak")
        assert opens("net.pt:model").provenance["other_state_dicts"] == ["polyak"]
        chosen = opens("net.pt:polyak")
        torch.testing.assert_close(logits(chosen, pixels()), expected(normalised=False, seed=1), rtol=0, atol=0)
        assert "it has: model, polyak" in refusal("net.pt:polya")

    def test_swa_beside_the_last_weights(self, opens: Opens, refusal: Refusal) -> None:
        averaged = {**state("module.", seed=1), "n_averaged": torch.tensor(5)}
        torch.save({"state_dict": state(), "swa_state_dict": averaged}, "net.pt")
        assert refusal("net.pt").endswith("say which one: net.pt:state_dict or net.pt:swa_state_dict")
        chosen = opens("net.pt:swa_state_dict")
        torch.testing.assert_close(logits(chosen, pixels()), expected(normalised=False, seed=1), rtol=0, atol=0)

    def test_what_may_play_a_part_is_not_left_out(self, opens: Opens, refusal: Refusal) -> None:
        denoiser = {"denoiser.0.weight": torch.ones(1, 1, 3, 3), "denoiser.0.bias": torch.zeros(1)}
        torch.save({**denoiser, **state("classifier.")}, "net.pt")
        assert "fits no registered network" in refusal("net.pt")
        line = refusal("net.pt:classifier")
        assert "leaves out denoiser.0.weight, denoiser.0.bias, which may act on the images" in line
        opened = opens("net.pt:classifier", no_normalisation=True)  # the user says that this is the model
        assert opened.provenance["left_out"] == "denoiser.0.weight, denoiser.0.bias"
        torch.testing.assert_close(logits(opened, pixels()), expected(normalised=False), rtol=0, atol=0)

    def test_what_is_left_out_is_told(self, opens: Opens) -> None:
        torch.save(NONE["Lightning"], "net.pt")
        assert opens("net.pt").provenance["left_out"] == "criterion.weight, val_acc.total"


class TestKeys:
    """FILE:KEY is the address of a state dict, or of a part of one: all of it, or its end."""

    @pytest.mark.parametrize(
        "key",
        ["model.module.attacker.model", "module.attacker.model", "attacker.model", "attacker", "model.module.attacker"],
    )
    def test_from_the_top_or_from_anywhere(self, key: str, opens: Opens) -> None:
        content = {"model": {**state("module.model.", seed=1), **state("module.attacker.model.")}, "epoch": 3}
        torch.save(content, "net.pt")
        opened = opens(f"net.pt:{key}")
        torch.testing.assert_close(logits(opened, pixels()), expected(normalised=False), rtol=0, atol=0)

    @pytest.mark.parametrize(
        ("content", "key"),
        [
            ({"a": {"b": {"c": {"swa_state_dict": state()}}}, "model": state(seed=1)}, "swa_state_dict"),
            ({"state_dict": state(seed=1), "swa/averaged": state()}, "swa/averaged"),
            ({"state_dict": state(seed=1), "swa:averaged": state()}, "swa:averaged"),
            ({"nets": [state(seed=1), state()]}, "nets.1"),
            ({"nets": {0: state(seed=1), 1: state()}}, "nets.1"),
            ({"a.b": state(), "model": state(seed=1)}, "a.b"),
            ({**state(), **state("ema.", seed=1)}, "."),
            ({**state(seed=1), **state("ema.")}, "ema"),
            ([state(seed=1), state()], "1"),
            ({"model": torch.nn.Linear(2, 2).state_dict(), "teacher": state("module.")}, "teacher"),
            ({"model": {"_orig_mod.model." + name: t for name, t in state().items()}}, "_orig_mod.model"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_wherever_it_lies(self, content: Any, key: str, opens: Opens) -> None:
        torch.save(content, "net.pt")
        opened = opens(f"net.pt:{key}")
        torch.testing.assert_close(logits(opened, pixels()), expected(normalised=False), rtol=0, atol=0)

    def test_an_end_that_several_have_is_refused_with_what_to_type(self, refusal: Refusal) -> None:
        torch.save({"a": {"net": state()}, "b": {"net": state(seed=1)}}, "net.pt")
        assert refusal("net.pt:net").endswith("has 2 parts named net; say which: net.pt:a.net or net.pt:b.net")

    def test_a_near_miss_is_told(self, refusal: Refusal) -> None:
        torch.save({"state_dict": {**state("model."), **state("ema_model.", seed=1)}}, "net.pt")
        assert refusal("net.pt:emamodel").endswith("it has: state_dict; did you mean net.pt:state_dict.ema_model?")

    def test_what_an_optimiser_remembers_is_no_state_dict(self, opens: Opens) -> None:
        model = trained()
        optimizer = torch.optim.Adam(model.parameters())
        sum(p.sum() for p in model.parameters()).backward()  # type: ignore[union-attr]
        optimizer.step()
        torch.save({"model": state(), "optimizer_states": [optimizer.state_dict()]}, "net.pt")
        assert "other_state_dicts" not in opens("net.pt").provenance

    def test_equal_copies_are_one_model_whichever_is_chosen(self, opens: Opens) -> None:
        torch.save({"model": state(), "ema": state("module.")}, "net.pt")
        assert opens("net.pt").provenance["equal_copies"] == ["ema.module"]
        assert len({opens(f"net.pt{key}").sha256 for key in ("", ":model", ":ema", ":ema.module")}) == 1


@pytest.mark.parametrize("prefix", ["", "module.", "module.model."])
def test_the_nearest_network_is_named_with_its_names_in_the_file(prefix: str, refusal: Refusal) -> None:
    tensors = {name: t for name, t in state(prefix).items() if not name.endswith("11.bias")}
    torch.save({"epoch": 3, "model": tensors | {f"{prefix}12.bias": torch.zeros(10)}}, "net.pt")
    line = refusal("net.pt")
    assert f"nearest smallcnn: missing {prefix}11.bias (10,); unexpected {prefix}12.bias (10,): name the" in line


def test_the_nearest_network_is_the_one_that_shares_most_tensors(refusal: Refusal) -> None:
    from harness.networks.resnet18 import ResNet18
    from harness.plugin.network import Shape

    shape = Shape(3, 32, 32, 10)
    tensors = dict(ResNet18().build(shape).state_dict())
    tensors["head.weight"] = tensors.pop(next(name for name in tensors if name.endswith("linear.weight")))
    torch.save(tensors, "net.pt")
    line = refusal("net.pt", shape=shape, dataset="cifar10")
    assert "nearest resnet18" in line
    assert "head.weight" in line

"""What a file tells of a normalisation: used, or refused until the user says, and never dropped without a word.

Each file is of one network, so its logits say which normalisation was put inside: (x - 0.3) / 0.4, or none.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor

from harness.targets.preprocessing import Preprocessing
from tests.harness.targets.conftest import DIGITS, Opens, Refusal, logits, pixels, trained
from tests.harness.targets.given import expected, state

PAIR: dict[str, Any] = {"mean": torch.tensor([0.3]), "std": torch.tensor([0.4])}
GIVEN = Preprocessing(mean=(0.3,), std=(0.4,))


def pair(prefix: str, mean: float = 0.3, std: float = 0.4) -> dict[str, Tensor]:
    return {f"{prefix}mean": torch.tensor([mean]), f"{prefix}std": torch.tensor([std])}


def saved(content: Any) -> str:
    torch.save(content, "net.pt")
    return "net.pt"


USED: dict[str, Any] = {
    "timm's settings": {"model": state(), "default_cfg": {"mean": (0.3,), "std": (0.4,)}},
    "three mappings down": {"model": state(), "config": {"data": {"normalization": {"mean": [0.3], "std": [0.4]}}}},
    "Lightning's data module": {
        "state_dict": state("model."),
        "datamodule_hyper_parameters": {"mean": [0.3], "std": [0.4]},
    },
    "as texts": {"model": state(), "mean": "0.3", "std": "0.4"},
    "beside a state dict in a mapping": {"model": {"state_dict": state(), **PAIR}},
    "in capitals": {"model": state(), "CONFIG": {"DATA": {"MEAN": [0.3], "STD": [0.4]}}},
    "the state dict of a layer": {"net": state(), "normalizer": PAIR},
    "in a wrapper within a wrapper": {**state("model.net."), **pair("model.normalize.")},
    "in a wrapper further out": {**state("model.net."), **pair("normalize.")},
    "in a layer of the network's own module": {**state(), **pair("normalize.")},
    "twice the same": {"model": {**state("net."), **pair("normalize.")}, **PAIR},
    "told beside its values": {"model": state(), **PAIR, "args": {"normalize": True}},
    "with a gap that it does not fill": {**state("2."), **pair("0.")},
    "with another's": {**{"model": state()}, **PAIR, "noise": {"mean": 0.0, "std": 0.25}},
}


@pytest.mark.parametrize("content", USED.values(), ids=USED)
def test_used(content: Any, opens: Opens) -> None:
    opened = opens(saved(content))
    torch.testing.assert_close(logits(opened, pixels()), expected(normalised=True), rtol=1e-5, atol=1e-5)
    assert opened.provenance["normalisation"].startswith("(x - 0.3) / 0.4, from ")


ANOTHERS: dict[str, Any] = {
    "a noise": {"model": state(), "args": {"noise_mean": 0.0, "noise_std": 0.25}},
    "a spread of results": {
        "model": state(),
        "acc": {"mean": 0.91, "std": 0.01},
        "results": [{"mean": 0.5, "std": 0.1}],
    },
    "targets": {"model": state(), "target_mean": [0.3], "target_std": [0.4], "labels": {"mean": 0.3, "std": 0.4}},
    "a deviation of first weights": {"model": state(), "config": {"init_std": 0.02}},
    "a noise in a symbol": {"model": state(), "args": {"sigma": 0.25}},
    "layers": {"model": state(), "args": {"norm": "batch", "normalization": "batchnorm", "batch_norm": True}},
    "not asked for": {"model": state(), "args": {"normalize": False}},
}


@pytest.mark.parametrize("content", ANOTHERS.values(), ids=ANOTHERS)
def test_another_s_is_not_taken_for_the_input_s(content: Any, opens: Opens) -> None:
    opened = opens(saved(content))
    torch.testing.assert_close(logits(opened, pixels()), expected(normalised=False), rtol=0, atol=0)
    assert opened.provenance["normalisation"] == "none in net.pt"


REFUSED: dict[str, tuple[Any, str]] = {
    "under a name that says nothing": (
        {"model": state(), "stats": {"mean": [0.3], "std": [0.4]}},
        "holds stats.mean and stats.std, and it is unclear whether they normalise the images",
    ),
    "in a layer of a name that says little": (
        {**state(), **pair("norm.")},
        "holds norm.mean and norm.std, and it is unclear",
    ),
    "a momentum and a noise, perhaps": (
        {"model": state(), "args": {"mu": 0.9, "sigma": 0.25}},
        "holds args.mu and args.sigma, and it is unclear",
    ),
    "a word alone": ({"model": state(), "args": {"normalize": True}}, "args.normalize, which says that images are"),
    "a data set's name": ({"model": state(), "args": {"normalize": "imagenet"}}, "which says that images are"),
    "a transform as text": (
        {"model": state(), "args": {"transform": "ToTensor(), Normalize((0.3,), (0.4,))"}},
        "args.transform, which says that images are normalised, and not how",
    ),
    "both in one value": ({"model": state(), "mean_std": [[0.3], [0.4]]}, "mean_std, which says that images are"),
    "a deviation alone": ({"model": state(), "std": [0.4]}, "holds std, and no mean that says what is subtracted"),
    "a variance": (
        {"model": state(), "mean": [0.3], "var": [0.16]},
        "holds mean and var, and no std that says what to",
    ),
    "a buffer alone": ({**state("net."), "normalize.mean": torch.tensor([0.3])}, "holds normalize.mean, and no std"),
    "a value a pixel": (
        {"model": state(), "mean": torch.full((1, 8, 8), 0.3), "std": torch.full((1, 8, 8), 0.4)},
        "with 64 values, and the images have 1 channel",
    ),
    "three values of another data set": (
        {"model": state(), "mean": [0.5, 0.5, 0.5], "std": [0.2, 0.2, 0.2]},
        "with 3 values, and the images have 1 channel",
    ),
    "bytes": ({**state("1."), **pair("0.", 76.5, 102.0)}, r"\(76.5\) and \(102\), which is not on the scale of images"),
    "two that differ": ({"model": {**state("net."), **pair("normalize.", 0.5)}, **PAIR}, "normalisations that differ"),
    "a gap below another": (state("module.1.0."), "number 1 of a Sequential"),
}


@pytest.mark.parametrize(("content", "problem"), REFUSED.values(), ids=REFUSED)
def test_refused_until_the_user_says(content: Any, problem: str, opens: Opens) -> None:
    saved(content)
    with pytest.raises(Exception, match=f"{problem}.*--no-normalisation"):
        opens("net.pt")
    given, plain = opens("net.pt", preprocessing=GIVEN), opens("net.pt", no_normalisation=True)
    torch.testing.assert_close(logits(given, pixels()), expected(normalised=True), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(logits(plain, pixels()), expected(normalised=False), rtol=0, atol=0)
    assert given.provenance["normalisation"] == "(x - 0.3) / 0.4, as given"
    assert plain.provenance["normalisation"] == "none, as asked"


def test_what_is_said_is_no_part_of_the_models_identity(opens: Opens) -> None:
    assert opens(saved(state())).sha256 == opens("net.pt", no_normalisation=True).sha256
    given = opens("net.pt", preprocessing=GIVEN).sha256
    assert opens(saved({"model": state(), **PAIR})).sha256 == given
    assert opens(saved({**state("1."), **pair("0.")})).sha256 == given


class TestNotTheInputs:
    """What would be taken for the input's by its name alone: the file is no network that is known, and says so."""

    @pytest.mark.parametrize(
        "content",
        [
            {**state("0."), **pair("1.")},
            {**state("net."), **pair("target_norm.")},
            {**state("net."), **pair("feature_norm.")},
            {**state(), **pair("layer3.norm.")},
            {**state(), **pair("3.norm.")},
            {**state("net."), "quant.levels": torch.tensor(4)},
            {**state("net."), "input_scale": torch.tensor([255.0])},
            {**state("net."), "temperature": torch.tensor(2.0)},
        ],
        ids=lambda content: list(content)[-1],
    )
    def test_is_refused_as_beside_the_network(self, content: dict[str, Tensor], refusal: Refusal) -> None:
        name = list(content)[-1]
        for said in ({}, {"no_normalisation": True}, {"preprocessing": GIVEN}):
            line = refusal(saved(content), **said)
            assert "nearest smallcnn: unexpected" in line
            assert name in line

    def test_a_part_that_the_user_chooses_is_opened_without_it(self, opens: Opens, refusal: Refusal) -> None:
        saved({**state("net."), **pair("target_norm.")})
        assert "net.pt:net opens the smallcnn alone" in refusal("net.pt")
        opened = opens("net.pt:net")
        torch.testing.assert_close(logits(opened, pixels()), expected(normalised=False), rtol=0, atol=0)


class TestCopies:
    def test_whose_normalisations_differ_are_two_networks(self, opens: Opens, refusal: Refusal) -> None:
        inner = {**state("module.attacker.model."), **pair("module.attacker.normalize.", 0.5)}
        saved({**state("module.model."), **pair("module.normalizer."), **inner})
        assert refusal("net.pt").endswith("say which one: net.pt:module.model or net.pt:module.attacker.model")
        opened = opens("net.pt:module.model")
        torch.testing.assert_close(logits(opened, pixels()), expected(normalised=True), rtol=1e-5, atol=1e-5)
        assert "normalisations that differ" in refusal("net.pt:module.attacker.model")
        assert opens("net.pt", preprocessing=GIVEN).sha256 == opened.sha256

    def test_one_of_which_has_none_is_not_opened_without_a_word(self, opens: Opens, refusal: Refusal) -> None:
        saved({"model": {**state("net."), **pair("normalize.")}, "ema": state("net.")})
        assert refusal("net.pt").endswith("say which one: net.pt:model or net.pt:ema")
        assert opens("net.pt:model").provenance["normalisation"].startswith("(x - 0.3) / 0.4, from ")
        assert "model.normalize.mean and model.normalize.std, and it is unclear" in refusal("net.pt:ema")

    def test_a_gap_in_front_of_one_tells_of_all(self, opens: Opens, refusal: Refusal) -> None:
        saved({"model": state(), "ema": state("module.1.")})
        assert "number 1 of a Sequential" in refusal("net.pt")
        opens("net.pt", no_normalisation=True)

    def test_that_share_one_have_it_both(self, opens: Opens) -> None:
        saved({**state("module.model."), **pair("module.normalizer."), **state("module.attacker.model.")})
        for key in ("", ":module.model", ":attacker.model"):
            opened = opens(f"net.pt{key}")
            torch.testing.assert_close(logits(opened, pixels()), expected(normalised=True), rtol=1e-5, atol=1e-5)


OWN = (
    "import torch\nfrom dataclasses import dataclass\nfrom torch import nn\n"
    "from harness.plugin.network import Network, Shape\n"
    "class Inside(nn.Module):\n"
    "    def __init__(self, net):\n        super().__init__()\n        self.net = net\n"
    "        self.register_buffer('mean', torch.tensor([0.3]))\n"
    "        self.register_buffer('std', torch.tensor([0.4]))\n"
    "    def forward(self, x):\n        return self.net((x - self.mean) / self.std)\n"
    "@dataclass(frozen=True, kw_only=True)\nclass Normalising(Network):\n    'A network that normalises by itself.'\n"
    "    def build(self, shape: Shape) -> nn.Module:\n"
    "        return Inside(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)))\n"
)


class TestANetworkThatNormalisesByItself:
    LINEAR = (torch.arange(640.0).view(10, 64) / 640, torch.zeros(10))

    def plugin(self, folder: Path) -> tuple[Path, ...]:
        (folder / "normalising.py").write_text(OWN)
        return (folder / "normalising.py",)

    def weights(self) -> dict[str, Tensor]:
        return {"net.1.weight": self.LINEAR[0], "net.1.bias": self.LINEAR[1], **PAIR}

    def test_does_so_once(self, opens: Opens, elsewhere: Path) -> None:
        plugins = self.plugin(elsewhere)
        opened = opens(saved(self.weights()), plugins=plugins)
        assert (opened.network, opened.provenance["normalisation"]) == ("normalising", "none in net.pt")
        with torch.no_grad():
            got = opened.target.verified(DIGITS, plugins, opened.sha256)(pixels())
        torch.testing.assert_close(got, ((pixels() - 0.3) / 0.4).flatten(1) @ self.LINEAR[0].T)

    def test_and_not_by_what_lies_beside_it_as_well(self, opens: Opens, refusal: Refusal, elsewhere: Path) -> None:
        plugins = self.plugin(elsewhere)
        saved({"model": self.weights(), **PAIR})
        line = refusal("net.pt", plugins=plugins)
        assert (
            "has a normalising layer of its own, and images would be normalised twice; say --no-normalisation" in line
        )
        assert "normalised twice; leave them out" in refusal("net.pt", plugins=plugins, preprocessing=GIVEN)
        opens("net.pt", plugins=plugins, no_normalisation=True)


def test_what_a_safetensors_file_says_beside_its_tensors_counts(opens: Opens) -> None:
    safetensors.torch.save_file(state(), "net.safetensors", metadata={"format": "pt", "mean": "[0.3]", "std": "[0.4]"})
    opened = opens("net.safetensors")
    torch.testing.assert_close(logits(opened, pixels()), expected(normalised=True), rtol=1e-5, atol=1e-5)


def test_a_diverged_copy_elsewhere_is_none_of_the_models(opens: Opens, refusal: Refusal) -> None:
    broken = {k: t * float("nan") if t.is_floating_point() else t for k, t in trained().state_dict().items()}
    saved({"model": state(), "polyak": broken})
    torch.testing.assert_close(logits(opens("net.pt"), pixels()), expected(normalised=False), rtol=0, atol=0)
    assert "has NaN or infinity in it" in refusal("net.pt:polyak")

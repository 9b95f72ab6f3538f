"""Whose a mean and a deviation are, by where they lie and what they are called: the input's, another's, or unknown."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from harness.targets.content import leaves
from harness.targets.statistics import Whose, numbers, statistics, whose

PAIR: dict[str, Any] = {"mean": [0.3], "std": [0.4]}


def placed(names: str, content: dict[str, Any]) -> Any:
    """Content below keys: ``a/b`` is a mapping in a mapping."""
    for name in reversed(names.split("/")):
        content = {name: content}
    return content


# below these keys of a file, a pair and the network that is at model / module.1.net.
BELOW: dict[str, Whose] = {
    "normalization": "the input's",
    "args": "the input's",
    "config/data/normalize": "the input's",
    "dataset_config": "the input's",
    "data_stats": "the input's",
    "datamodule_hyper_parameters": "the input's",
    "preprocessing/transforms": "the input's",
    "stats": "unknown",
    "bgr": "unknown",
    "teacher": "unknown",
    "normalization/of_others": "unknown",
    "targets": "another's",
    "label_statistics": "another's",
    "features/norm": "another's",
    "noise": "another's",
    "results/acc": "another's",
    "config/weight_init": "another's",
}


@pytest.mark.parametrize(("names", "owner"), BELOW.items(), ids=BELOW)
def test_of_a_pair_beside_the_weights(names: str, owner: Whose) -> None:
    (found,) = statistics(leaves(placed(names, PAIR)))
    assert whose(found, ("model",), ("module", "1", "net")) == owner


# as names in the network's own state dict, where its names begin with module.1.net.
BUFFERS: dict[str, Whose] = {
    "mean": "the input's",
    "module.mean": "the input's",
    "module.1.mean": "the input's",
    "module.1.net.mean": "the input's",
    "module.0.mean": "the input's",
    "module.normalizer.new_mean": "the input's",
    "module.1.preprocess.normalize.mean": "the input's",
    "module.1.net.normalize.mean": "the input's",
    "module.1.net.norm.mean": "unknown",
    "module.attacker.normalize.mean": "unknown",
    "module.2.mean": "another's",
    "module.1.net.layer3.norm.mean": "another's",
    "module.1.net.block.mean": "another's",
    "module.1.net.0.mean": "another's",
    "module.1.target_norm.mean": "another's",
    "module.1.net.feature_mean": "another's",
}


@pytest.mark.parametrize(("name", "owner"), BUFFERS.items(), ids=BUFFERS)
def test_of_buffers(name: str, owner: Whose) -> None:
    pair = {name: torch.tensor([0.3]), name.replace("mean", "std"): torch.tensor([0.4])}
    found = statistics(leaves({"model": pair}))
    owners = {whose(each, ("model",), ("module", "1", "net")) for each in found} or {"another's"}
    assert owners == {owner}


@pytest.mark.parametrize(
    ("mean", "std"),
    [
        *(("mean", "std"), ("means", "stds"), ("MEAN", "STD"), ("mu", "sigma"), ("new_mean", "new_std")),
        *(("mean", "stdev"), ("mean", "std_dev"), ("pixel_means", "pixel_stds"), ("normMean", "normStd")),
        *(("mean_rgb", "std_rgb"), ("cifar10_mean", "cifar10_std"), ("image_mean", "image_std")),
    ],
)
def test_names_that_make_a_pair(mean: str, std: str) -> None:
    (found,) = statistics(leaves({mean: [0.3], std: [0.4]}))
    assert found.paired
    assert whose(found, ("model",), ()) == "the input's"


@pytest.mark.parametrize("name", ["data_mean", "target_mean"])
def test_another_name_is_another_statistic(name: str) -> None:
    assert not any(found.paired for found in statistics(leaves({name: [0.3], "std": [0.4]})))


def test_a_mu_and_a_sigma_that_are_plain_numbers_may_be_a_momentum_and_a_noise() -> None:
    for value, owner in ((0.25, "unknown"), ([0.25], "the input's"), (torch.tensor(0.25), "the input's")):
        (found,) = statistics(leaves({"args": {"mu": value, "sigma": value}}))
        assert whose(found, ("model",), ()) == owner


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        *(("normalize", True, True), ("normalize", False, False), ("normalize", None, False), ("normalise", 1, True)),
        *(("normalization", "imagenet", True), ("normalization", "batchnorm", False), ("normalization", "none", False)),
        *(("mean_std", [[0.3], [0.4]], True), ("normalize", [[0.3], [0.4]], True), ("data_norm", True, True)),
        *(("norm", "linf", False), ("batch_norm", True, False), ("no_normalize", True, False)),
        *(("transform", "ToTensor(), Normalize((0.3,), (0.4,))", True), ("transform", "flip", False)),
        *(("input_size", 32, False), ("normalize_embeddings", True, False)),
    ],
)
def test_a_word_that_says_that_images_are_normalised_and_not_how(name: str, value: object, says: bool) -> None:
    found = statistics(leaves({"args": {name: value}}))
    assert [list(each.parts) for each in found] == ([["how"]] if says else [])
    assert all(whose(each, ("model",), ()) == "the input's" for each in found)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.4914, [0.4914]),
        (torch.tensor([0.4914, 0.4822]).view(1, 2, 1, 1), [0.4914, 0.4822]),
        (torch.tensor(0.3, dtype=torch.float64), [0.3]),
        ([[0.5], (0.25,)], [0.5, 0.25]),
        ("0.4914, 0.4822", [0.4914, 0.4822]),
        ("[0.5 0.25]", [0.5, 0.25]),
        (1, [1.0]),
        *((nothing, []) for nothing in (None, True, "imagenet", "", [], [0.5, "x"], {"a": 1}, ["0.5", None])),
    ],
    ids=str,
)
def test_numbers_as_their_author_wrote_them(value: object, expected: list[float]) -> None:
    assert numbers(value) == expected

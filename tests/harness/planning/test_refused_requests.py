"""Resolving a request: every mistake is refused in one line before anything is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.errors import DataError, HarnessError, SettingError, UnknownName
from harness.protocols.protocol import load_protocol
from tests.harness.planning.asked import job, refusal


@pytest.mark.parametrize(
    ("changes", "beginning"),
    [
        ({"methods": ("sat", "standart")}, "unknown method 'standart'; did you mean 'standard'"),
        ({"wrap": ("awq",)}, "unknown wrapper 'awq'; did you mean 'awp'"),
        ({"network": "smallcn"}, "unknown network 'smallcn'; did you mean 'smallcnn' or 'vit-small'? known: "),
        ({"dataset": "digit"}, "unknown dataset 'digit'; did you mean 'digits'? known: "),
        ({"dataset": "foldr:flowers"}, "unknown dataset 'foldr'; did you mean 'folder'? known: "),
        ({"protocol": "papr"}, "unknown protocol 'papr'; did you mean 'paper'? known: digits, "),
        ({"values": ("evaluation.attacks=natural,pdg",)}, "unknown attack 'pdg'; did you mean 'pgd'? known: "),
        ({"values": ("train.epoch=3",)}, "unknown setting 'train.epoch'; did you mean 'train.epochs'"),
        ({"values": ("widht=3",)}, "unknown setting 'widht'; did you mean 'width'"),
        ({"values": ("smallcnn.depth=3",)}, "unknown setting 'smallcnn.depth'"),
        ({"values": ("lrat.floor=pgd",)}, "unknown setting 'lrat.floor'"),  # lrat is not asked for
        ({"values": ("awp.gamma=0.1",)}, "unknown setting 'awp.gamma'"),  # nor is awp
        ({"values": ("name=mine",)}, "unknown setting 'name'"),
        ({"values": ("=3",)}, "unknown setting ''"),
        ({"values": ("steps.=3",)}, "unknown setting 'steps.'"),
    ],
    ids=str,
)
def test_an_unknown_name_is_refused_with_near_misses(changes: dict[str, Any], beginning: str) -> None:
    assert refusal(UnknownName, **changes).startswith(beginning)


def test_settings_are_listed_by_their_full_names_alone() -> None:
    _, listed = refusal(UnknownName, values=("epoch=3",)).split("? known: ")
    names = listed.split(", ")
    assert {"train.epochs", "evaluation.steps", "epsilon", "smallcnn.width"} <= {*names}
    assert "epochs" not in names


@pytest.mark.parametrize("field", ["seeds", "train_seeds", "limit", "epochs", "image_size"])
@pytest.mark.parametrize("value", [0, -1])
def test_a_count_below_one_is_refused(field: str, value: int) -> None:
    option = {"train_seeds": "--train-seeds", "image_size": "--image-size"}.get(field, f"--{field}")
    assert refusal(SettingError, **{field: value}) == f"{option} {value} is refused: it must be 1 or more"


def test_a_count_beyond_reason_is_refused() -> None:
    assert refusal(SettingError, seeds=10**23) == f"--seeds {10**23} is refused: it must be 10,000 at most"


def test_a_limit_beyond_the_test_images_is_refused() -> None:
    assert refusal(SettingError, limit=361) == "--limit 361 is refused: digits has 360 test images"
    assert job(limit=360).examples == job().examples == 360
    assert job(limit=1).examples == 1


def test_no_method_is_refused() -> None:
    assert refusal(SettingError, methods=()) == "no method is named; `harness list methods` shows them"


@pytest.mark.parametrize("text", ["epsilon", "", "epsilon:0.1"])
def test_a_setting_without_an_equals_sign_is_refused(text: str) -> None:
    assert refusal(SettingError, values=(text,)) == f"--set {text} is refused: write --set key=value"


@pytest.mark.parametrize(
    ("methods", "text", "candidates"),
    [
        (("sat",), "steps=3", "train.steps or evaluation.steps or minimum-margin.steps"),
        (("sat",), "keep=worst", "pgd.keep or cw.keep"),
        (("lrat",), "kappa=3", "cw.kappa or lrat.kappa"),
        (("lrat",), "attacks=pgd", "evaluation.attacks or lrat.attacks"),
    ],
)
def test_an_ambiguous_key_is_refused_naming_the_candidates(
    methods: tuple[str, ...], text: str, candidates: str
) -> None:
    key = text.partition("=")[0]
    expected = f"--set {text} is refused: {key} could be {candidates}; write one of them"
    assert refusal(SettingError, methods=methods, values=(text,)) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "epsilon=8",
            "epsilon=8 is refused: it should be less than or equal to 1; pixels are in [0, 1], so write 8/255",
        ),
        ("lr=-1", "lr=-1 is refused: it should be greater than 0"),
        ("train.epochs=many", "epochs=many is refused: it should be a valid integer"),
        ("cw.kappa=-1", "cw: kappa=-1 is refused: it should be greater than or equal to 0"),
        ("width=0", "smallcnn: width=0 is refused: it should be greater than or equal to 1"),
        ("lrat.minimum=1", "lrat: minimum=1 is refused: it should be less than 1"),
        ("lrat.attacks=cw", "lrat: floor=natural+pgd needs the PGD variant"),
        ("lrat.attacks=", "lrat: attacks= is refused"),
    ],
)
def test_a_value_is_refused_naming_its_owner(text: str, message: str) -> None:
    assert message in refusal(SettingError, methods=("sat", "lrat"), values=(text,))


def test_a_radius_for_both_is_refused_where_the_attacks_have_their_own() -> None:
    """`--epsilon` promises to train and attack in one ball."""
    own = ("evaluation.epsilon=0.1",)
    message = refusal(SettingError, values=own, epsilon="0.3")
    assert message.startswith("--epsilon 0.3 is refused: it trains and attacks in one ball, and the protocol")
    assert message.endswith("evaluation.epsilon=0.1; to train alone in this one, write --set epsilon=0.3")
    apart = job(*own, "epsilon=0.3").protocol
    assert (apart.epsilon, apart.evaluation_threat.epsilon) == (0.3, 0.1)
    for values in (own, ("evaluation.epsilon=none",), ()):
        both = job(*values, epsilon="0.1").protocol
        assert (both.epsilon, both.evaluation_threat.epsilon) == (0.1, 0.1)


def test_a_network_that_does_not_fit_the_images_is_refused() -> None:
    for arch in ("resnet18", "wrn-32-10"):
        assert refusal(SettingError, network=arch).startswith(f"{arch} takes images of 16x16 to 96x96, not 8x8: ")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_size": 8}, "--image-size is for folders of images; digits has a size of its own"),
        ({"dataset": "folder"}, "--dataset folder needs its path: write --dataset folder:PATH"),
        ({"dataset": "folder:"}, "--dataset folder needs its path: write --dataset folder:PATH"),
        ({"dataset": "digits:8"}, "--dataset digits takes nothing after the colon; write --dataset digits"),
        ({"dataset": "digits:"}, "--dataset digits takes nothing after the colon; write --dataset digits"),
        (
            {"precision": "float16"},
            "protocol 'digits', table train: precision=float16 is refused: it should be 'float32', ",
        ),
        ({"device": "cuda:99"}, "--device cuda:99 is not on this machine: it has "),
        ({"device": "gpu"}, "--device gpu is not a device; write cpu, cuda, or cuda:0"),
        ({"device": "mps"}, "--device mps is not supported; write cpu, cuda, or cuda:0"),
    ],
    ids=str,
)
def test_an_option_that_does_not_fit_is_refused(changes: dict[str, Any], message: str) -> None:
    assert refusal(SettingError, **changes).startswith(message)


def test_tf32_without_a_cuda_device_is_refused_however_it_is_asked_for() -> None:
    expected = "precision=tf32 needs a CUDA device; choose float32 or bfloat16, or another --device"
    assert refusal(SettingError, precision="tf32") == expected
    assert refusal(SettingError, values=("train.precision=tf32",)) == expected


def test_a_folder_that_is_not_there_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    data = tmp_path / "data"
    message = refusal(DataError, dataset=f"folder:{tmp_path / 'missing'}", data_dir=data)
    assert message.startswith(f"there is no folder {tmp_path / 'missing'}; ")
    assert list(tmp_path.iterdir()) == []


def test_a_plugin_file_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    assert "missing.py" in refusal(HarnessError, plugins=(tmp_path / "missing.py",))


def test_settings_of_an_attack_that_is_not_there_are_refused(tmp_path: Path) -> None:
    bundled = load_protocol("digits").document()
    file = tmp_path / "mine.toml"
    file.write_text(toml(bundled | {"attacks": {"pdg": {"keep": "worst"}}}))
    assert "pdg" in refusal(HarnessError, protocol=str(file))


def toml(document: dict[str, Any]) -> str:
    """A protocol's document as a TOML file; Python's literals of numbers, texts, and lists are TOML's, too."""
    lines = [f"{key} = {value!r}" for key, value in document.items() if not isinstance(value, dict)]
    for key in ("train", "evaluation"):
        lines += [f"[{key}]", *(f"{name} = {value!r}" for name, value in document[key].items())]
    for name, settings in document["attacks"].items():
        lines += [f"[attacks.{name}]", *(f"{key} = {value!r}" for key, value in settings.items())]
    return "\n".join(lines)

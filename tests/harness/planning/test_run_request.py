"""Resolving a request: every mistake is refused in one line before anything is written, and good ones say what runs."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.attacks.cw import CW
from harness.attacks.natural import Natural
from harness.attacks.pgd import PGD
from harness.errors import DataError, HarnessError, SettingError, UnknownName
from harness.identity import digest
from harness.planning.assessment import with_attacks
from harness.planning.run_request import RunJob, RunRequest, resolve_run
from harness.plugin.network import Shape
from harness.protocols.protocol import load_protocol
from harness.registry.catalogue import discover
from harness.store.records import DatasetRecord

DIGITS = RunRequest(methods=("sat",), network="smallcnn", dataset="digits", device="cpu")


def jobs(**changes: Any) -> list[RunJob]:
    return resolve_run(dataclasses.replace(DIGITS, **changes))


def job(*values: str, **changes: Any) -> RunJob:
    (only,) = jobs(values=values, **changes)
    return only


def refusal(kind: type[HarnessError], **changes: Any) -> str:
    with pytest.raises(kind) as caught:
        jobs(**changes)
    message = str(caught.value)
    assert "\n" not in message
    return message


# ---- refusals


@pytest.mark.parametrize(
    ("changes", "beginning"),
    [
        ({"methods": ("sat", "standart")}, "unknown method 'standart'; did you mean 'standard'"),
        ({"wrap": ("awq",)}, "unknown wrapper 'awq'; did you mean 'awp'"),
        ({"network": "smallcn"}, "unknown network 'smallcn'; did you mean 'smallcnn'? known: "),
        ({"dataset": "digit"}, "unknown dataset 'digit'; did you mean 'digits'? known: "),
        ({"dataset": "foldr:flowers"}, "unknown dataset 'foldr'; did you mean 'folder'? known: "),
        ({"protocol": "papr"}, "unknown protocol 'papr'; did you mean 'paper'? known: digits, paper"),
        ({"protocol": "mine.toml"}, "unknown protocol 'mine.toml'"),
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


@pytest.mark.parametrize("field", ["seeds", "train_seeds", "limit", "epochs", "image_size"])
@pytest.mark.parametrize("value", [0, -1])
def test_a_count_below_one_is_refused(field: str, value: int) -> None:
    option = {"train_seeds": "--train-seeds", "image_size": "--image-size"}.get(field, f"--{field}")
    assert refusal(SettingError, **{field: value}) == f"{option} {value} is refused: it must be 1 or more"


def test_a_count_beyond_reason_is_refused() -> None:
    assert refusal(SettingError, seeds=10**23) == f"--seeds {10**23} is refused: it must be 1,000,000 at most"


def test_a_limit_beyond_the_test_images_is_refused() -> None:
    assert refusal(SettingError, limit=361) == "--limit 361 is refused: digits has 360 test images"
    assert job(limit=360).examples == job().examples == 360
    assert job(limit=1).examples == 1


def test_no_method_is_refused() -> None:
    assert refusal(SettingError, methods=()) == "no method is named; `harness list methods` shows those that are there"


@pytest.mark.parametrize("text", ["epsilon", "", "epsilon:0.1"])
def test_a_setting_without_an_equals_sign_is_refused(text: str) -> None:
    assert refusal(SettingError, values=(text,)) == f"--set {text} is refused: write --set key=value"


@pytest.mark.parametrize(
    ("methods", "text", "candidates"),
    [
        (("sat",), "steps=3", "train.steps or evaluation.steps"),
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


def test_a_network_that_does_not_fit_the_images_is_refused() -> None:
    for arch in ("resnet18", "wrn-32-10"):
        assert refusal(SettingError, network=arch).startswith(f"{arch} takes images of 16x16 to 64x64, not 8x8: ")


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


# ---- good requests


def test_the_data_sets_own_protocol_is_used_where_none_is_named() -> None:
    assert job().protocol == with_attacks(load_protocol("digits"), discover("attacks"))[0]
    assert job(protocol="paper").protocol == with_attacks(load_protocol("paper"), discover("attacks"))[0]


def test_values_reach_what_they_name() -> None:
    values = ("lrat.floor=pgd", "epsilon=8/255", "cw.kappa=20", "width=8", "train.steps=3", "evaluation.steps=4")
    sat, lrat = jobs(methods=("sat", "lrat"), values=values)
    assert lrat.method.departures() == {"floor": "pgd"}
    assert (sat.method.name, sat.method.departures()) == ("sat", {})
    for each in (sat, lrat):
        assert each.protocol.epsilon == 8 / 255
        assert (each.protocol.train.steps, each.protocol.evaluation.steps) == (3, 4)
        assert each.network.departures() == {"width": 8}
        assert each.attacks["cw"] == CW(kappa=20.0)
        assert each.attacks["pgd"] == PGD()
        (spec,) = each.specs
        assert spec.training["epsilon"] == 8 / 255
        assert spec.training["steps"] == 3
        assert spec.network_settings == {"width": 8}
    assert lrat.specs[0].method_settings["floor"] == "pgd"
    assert sat.specs[0].method_settings == {}


def test_wrappers_are_part_of_every_run_in_their_order() -> None:
    made = jobs(methods=("sat", "trades"), wrap=("ema", "awp"), values=("awp.gamma=1/50",))
    expected = [("ema", {}), ("awp", {"gamma": 0.02})]
    for each in made:
        assert [(wrapper.name, wrapper.departures()) for wrapper in each.wrappers] == expected
        (spec,) = each.specs
        assert [(wrapper["name"], wrapper["departures"]) for wrapper in spec.wrappers] == expected
        assert [wrapper["settings"] for wrapper in spec.wrappers] == [w.resolved() for w in each.wrappers]
    assert (job().wrappers, job().specs[0].wrappers) == ((), ())


def test_a_short_key_finds_the_one_field_that_it_ends() -> None:
    assert job("kappa=20").attacks["cw"] == CW(kappa=20.0)  # with lrat it would be ambiguous
    assert job("lr_drops=1/2,3/4").protocol.train.lr_drops == (0.5, 0.75)
    assert job("pgd.keep=worst").attacks["pgd"] == PGD(keep="worst")
    assert job("pgd.keep=worst").attacks["cw"] == CW(keep="last")


def test_epochs_and_precision_are_short_for_fields_of_the_protocol() -> None:
    short = job(epochs=3, precision="bfloat16").protocol
    assert short == job("train.epochs=3", "train.precision=bfloat16").protocol
    assert (short.train.epochs, short.train.precision) == (3, "bfloat16")
    assert job(precision="bfloat16").specs[0].code == {"bfloat16": "of the present weights"}
    assert job().specs[0].code == {}


def test_the_last_value_of_a_key_counts_and_a_value_may_hold_an_equals_sign() -> None:
    assert job("lr=0.5", "train.lr=0.25").protocol.train.lr == 0.25
    assert "keep=a=b is refused" in refusal(SettingError, values=("pgd.keep=a=b",))


def test_the_attacks_are_the_protocols_in_its_order() -> None:
    assert list(job().attacks) == ["natural", "pgd", "cw", "autoattack"]
    chosen = job("evaluation.attacks=cw, natural").attacks
    assert list(chosen.items()) == [("cw", CW()), ("natural", Natural())]


def test_an_attack_that_a_value_adds_takes_settings(tmp_path: Path) -> None:
    file = tmp_path / "strong.py"
    file.write_text(
        "from dataclasses import dataclass\nfrom harness.attacks.cw import CW\n\n\n"
        "@dataclass(frozen=True, kw_only=True)\nclass Strong(CW):\n    '''Another.'''\n"
    )
    strong = job("evaluation.attacks=natural,strong", "strong.kappa=7", plugins=(file,)).attacks["strong"]
    assert strong.resolved() == {"kappa": 7.0, "keep": "last"}


@pytest.mark.parametrize("text", ["cw.kappa=50", "cw.kappa=50.0", "pgd.keep=last"])
def test_a_default_that_is_written_out_is_no_other_protocol(text: str) -> None:
    assert job(text).attacks == job().attacks
    assert job(text).protocol.fingerprint == job().protocol.fingerprint


def test_the_budget_of_the_evaluation_is_the_protocols() -> None:
    threat = job(protocol="paper").threat
    assert (threat.epsilon, threat.steps, threat.start) == (8 / 255, 20, "uniform")
    assert threat.step_size == pytest.approx(2 / 255, rel=1e-12)


def test_a_method_asked_for_twice_is_one_job() -> None:
    assert [each.method.name for each in jobs(methods=("sat", "lrat", "sat"))] == ["sat", "lrat"]


def test_each_train_seed_is_a_run() -> None:
    specs = job(train_seeds=3).specs
    assert [spec.train_seed for spec in specs] == [0, 1, 2]
    assert len({spec.identity for spec in specs}) == 3


def test_parameters_are_those_of_the_network_on_the_data_sets_shape() -> None:
    # convolutions 9wc + 9w(2w) + 9(2w)(2w), batch-norms 2(w + 2w + 2w), linear 10(2w + 1); c = 1
    assert job().parameters == 14_458  # w = 16
    assert job("width=8").parameters == 72 + 1152 + 2304 + 80 + 170


def test_the_device_is_the_one_named() -> None:
    assert job().device == torch.device("cpu")
    assert job(device="cpu:0").device == torch.device("cpu")


# ---- what a job says of itself


def test_random_attacks_have_seeds_and_blocks_and_others_have_not() -> None:
    made = job("epsilon=1/4", "evaluation.relative_step=1/8", "block_size=100", seeds=3)
    threat = {"epsilon": 0.25, "steps": 20, "step_size": 0.03125, "start": "uniform"}
    assert made.attack_settings("pgd") == {"keep": "last", "block_size": 100} | threat
    assert made.attack_settings("cw") == {"keep": "last", "kappa": 50.0, "block_size": 100} | threat
    assert made.attack_settings("autoattack") == {"block_size": 100, "epsilon": 0.25}
    assert made.attack_settings("natural") == {}
    assert {name: list(made.attack_seeds(name)) for name in made.attacks} == {
        "natural": [0],
        "pgd": [0, 1, 2],
        "cw": [0, 1, 2],
        "autoattack": [0, 1, 2],
    }


def test_the_records_that_the_store_keeps() -> None:
    made = job("evaluation.attacks=natural,pgd")
    shape = Shape(channels=1, height=8, width=8, classes=10)
    assert made.dataset_record() == DatasetRecord(
        "digits", made.dataset.fingerprint, 1437, 360, *shape, tuple("0123456789")
    )
    record = made.protocol_record()
    assert (record.name, record.fingerprint) == ("digits", made.protocol.fingerprint)
    assert record.training_sha256 == digest(made.specs[0].training)
    assert list(record.attacks.items()) == [(name, digest(made.attack_settings(name))) for name in ("natural", "pgd")]
    assert record.document == made.protocol.document()


def test_a_worker_finds_the_data_set_by_its_place(tmp_path: Path) -> None:
    place = job(data_dir=tmp_path).place
    assert (place.source, place.settings, place.data_dir) == ("digits", {}, tmp_path)

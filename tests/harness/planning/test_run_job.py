"""A request that is taken says what runs: values reach what they name, and a job says what the store keeps of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from harness.attacks.cw import CW
from harness.attacks.minimum_margin import MinimumMargin
from harness.attacks.natural import Natural
from harness.attacks.pgd import PGD
from harness.errors import SettingError, UnknownName
from harness.identity import digest
from harness.planning.assessment import with_attacks
from harness.plugin.network import Shape
from harness.protocols.protocol import load_protocol
from harness.registry.catalogue import discover
from harness.store.records import DatasetRecord
from tests.harness.planning.asked import job, jobs, refusal


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


def test_the_wrappers_of_a_protocol_are_a_runs_own_whether_typed_or_not(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('base = "digits"\n[wrappers.label-smoothing]\namount = 0.4\n[wrappers.ema]\ndecay = "9/10"\n')
    mine = job(protocol=str(file), wrap=("awp", "ema"))
    values = ("label-smoothing.amount=0.4", "ema.decay=0.9")
    typed = job(*values, wrap=("label-smoothing", "ema", "awp"))
    assert [wrapper.name for wrapper in mine.wrappers] == ["label-smoothing", "ema", "awp"]
    assert mine.specs == typed.specs
    assert mine.protocol.fingerprint != typed.protocol.fingerprint
    other = job("ema.decay=0.8", protocol=str(file))  # of the protocol, so it is another protocol
    assert other.wrappers[1].departures() == {"decay": 0.8}
    assert other.protocol.fingerprint not in (mine.protocol.fingerprint, typed.protocol.fingerprint)
    said = job("ema.decay=0.9", "ema.start=0", protocol=str(file))  # what holds already
    assert said.protocol.fingerprint == mine.protocol.fingerprint
    file.write_text('base = "digits"\n[wrappers.emu]\n')
    with pytest.raises(UnknownName, match="unknown wrapper 'emu'; did you mean 'ema'"):
        job(protocol=str(file))


def test_two_averages_of_the_weights_are_refused_since_one_would_have_no_effect(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('base = "digits"\n[wrappers.ema]\n')
    for asked in ({"wrap": ("ema", "awp", "swa")}, {"wrap": ("swa",), "protocol": str(file)}):
        said = "the wrappers ema, swa are refused together: each publishes weights of its own, so only those of swa"
        assert said in refusal(SettingError, **asked)


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
    assert list(job().attacks) == ["natural", "pgd", "cw", "minimum-margin", "autoattack"]
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
    assert made.attack_settings("minimum-margin") == MinimumMargin().resolved() | {"block_size": 100, "epsilon": 0.25}
    assert made.attack_settings("autoattack") == {"block_size": 100, "epsilon": 0.25}
    assert made.attack_settings("natural") == {}
    assert {name: list(made.attack_seeds(name)) for name in made.attacks} == {
        "natural": [0],
        "pgd": [0, 1, 2],
        "cw": [0, 1, 2],
        "minimum-margin": [0, 1, 2],
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

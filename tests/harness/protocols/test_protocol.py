"""Protocols: the paper's values by hand, the fingerprint, and changes of values."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from harness.errors import HarnessError, SettingError
from harness.protocols.protocol import Protocol, load_protocol, protocol_names
from harness.training.schedule import checkpoint_epochs, learning_rate
from tests.harness.documents import FIELDS, PAPER, refusal


def test_the_papers_training() -> None:
    train = PAPER.train
    assert PAPER.epsilon == 8 / 255
    assert (train.epochs, train.batch_size) == (100, 128)
    assert (train.lr, train.momentum, train.weight_decay) == (0.01, 0.9, 0.0035)
    assert train.precision == "float32"
    rates = {epoch: learning_rate(train, epoch) for epoch in (1, 60, 61, 90, 91, 100)}
    assert rates == pytest.approx({1: 1e-2, 60: 1e-2, 61: 1e-3, 90: 1e-3, 91: 1e-4, 100: 1e-4}, rel=1e-12)
    assert checkpoint_epochs(train) == {"early": 60, "last": 100}


def test_the_papers_threats() -> None:
    train, evaluation = PAPER.train.threat(PAPER.epsilon), PAPER.evaluation_threat
    assert (train.epsilon, train.steps, train.start) == (8 / 255, 10, "uniform")
    assert train.step_size == pytest.approx(0.8 / 255, rel=1e-12)  # epsilon / 10
    assert (evaluation.epsilon, evaluation.steps, evaluation.start) == (8 / 255, 20, "uniform")
    assert evaluation.step_size == pytest.approx(2 / 255, rel=1e-12)  # epsilon / 4


def test_the_papers_evaluation() -> None:
    assert PAPER.evaluation.checkpoints == ("early", "last")
    assert PAPER.evaluation.attacks == ("natural", "pgd", "cw", "minimum-margin", "autoattack")
    assert PAPER.attack_settings == {"cw": {"kappa": 50.0}}


@pytest.mark.parametrize(
    ("name", "fingerprint"),
    [
        ("digits", "e0bbc6d60eeb1be356f20104197e0ad68692a938bba1cb49cb90c6b4f2af829c"),
        ("paper", "df439ad86db46ad7a3b9648b3e83df4cf9be6dedd22067782544a16ef9112dab"),
    ],
)
def test_without_the_attack_that_was_added_it_is_the_protocol_that_it_was(name: str, fingerprint: str) -> None:
    """It has the fingerprint that is stored, and the training, which a run's identity contains, is the same."""
    now = load_protocol(name)
    before = now.with_values({"evaluation.attacks": ("natural", "pgd", "cw", "autoattack")})
    assert before.fingerprint == fingerprint != now.fingerprint
    assert before.training_document == now.training_document
    assert set(now.evaluation.attacks) - set(before.evaluation.attacks) == {"minimum-margin"}
    assert now.evaluation.attacks[-1] == before.evaluation.attacks[-1]  # which ranks


def test_the_l2_training_of_rice_et_al() -> None:
    protocol = load_protocol("rice2020-l2")
    train, attack = protocol.train, protocol.train.threat(protocol.epsilon)
    assert (attack.norm, attack.epsilon, attack.steps, attack.start) == ("L2", 128 / 255, 10, "uniform")
    assert attack.step_size == pytest.approx(15 / 255, rel=1e-12)
    rates = {epoch: learning_rate(train, epoch) for epoch in (1, 100, 101, 150, 151, 200)}
    assert rates == pytest.approx({1: 0.1, 100: 0.1, 101: 0.01, 150: 0.01, 151: 0.001, 200: 0.001}, rel=1e-12)
    assert checkpoint_epochs(train) == {"early": 101, "last": 200}
    threat = protocol.evaluation_threat
    assert (threat.norm, threat.epsilon, threat.steps, threat.step_size) == ("L2", 128 / 255, 20, 32 / 255)
    assert protocol.evaluation.attacks == PAPER.evaluation.attacks


def test_every_bundled_protocol_is_complete_and_summarised() -> None:
    assert protocol_names() == ["digits", "fastat", "pang2021", "paper", "rice2020", "rice2020-l2", "wang2023"]
    for name in protocol_names():
        protocol = load_protocol(name)
        assert protocol.name == name
        assert protocol.summary
        assert Protocol.from_document(name, protocol.document()) == protocol


TEXTS = {
    "train.start": "none",
    "train.precision": "bfloat16",
    "evaluation.start": "gaussian",
    "evaluation.epsilon": "1/8",
    "train.norm": "L2",
    "train.schedule": "one-cycle",
    "train.lr_rise": 0.5,
    "train.lr_warmup": 0.1,
    "train.momentum_low": 0.5,
    "train.nesterov": True,
    "train.clip_norm": 1.0,
    "train.epsilon_warmup": 0.1,
    "train.validation": 100,
    "train.validation_steps": 5,
    "train.augment": ("cutout",),
    "train.cutout_length": 5,
    "train.cutmix_probability": 0.25,
    "train.extra": "images.npz",
    "train.extra_fraction": 0.5,
    "evaluation.norm": "L2",
}


def other(key: str, value: Any) -> Any:
    """Another valid value of a field."""
    if key in TEXTS:
        return TEXTS[key]
    return value[:-1] if isinstance(value, tuple) else value + 1 if isinstance(value, int) else value / 2


def changed_protocols() -> dict[str, Protocol]:
    """The paper's protocol with each field in turn changed to another value."""
    values: dict[str, Any] = {"epsilon": other("epsilon", PAPER.epsilon), "cw.kappa": 20.0, "pgd.keep": "worst"}
    for table, fields in FIELDS.items():
        part = getattr(PAPER, table)
        values |= {f"{table}.{f.name}": other(f"{table}.{f.name}", getattr(part, f.name)) for f in fields}
    cycle: dict[str, Any] = {"train.schedule": "cosine-cycle", "train.lr_drops": ()}
    beside: dict[str, dict[str, Any]] = {  # a cycle has no drops, and what is of a cycle alone needs one
        "train.schedule": {"train.lr_drops": ()},
        "train.lr_rise": cycle,
        "train.momentum_low": cycle,
        "train.norm": {"epsilon": PAPER.epsilon},
        "evaluation.norm": {"evaluation.epsilon": PAPER.epsilon},
        "train.validation_steps": {"train.validation": 100},
        "train.cutout_length": {"train.augment": ("cutout",)},
        "train.cutmix_probability": {"train.augment": ("cutmix",)},
        "train.extra_fraction": {"train.extra": "images.npz"},
    }
    return {key: PAPER.with_values({key: value, **beside.get(key, {})}) for key, value in values.items()}


def test_every_field_of_a_protocol_has_a_decision() -> None:
    decided = {"name", "summary", "epsilon", "wrapper_settings", "attack_settings", "attack_code", *FIELDS}
    assert {field.name for field in dataclasses.fields(Protocol)} == decided


def test_every_field_changes_the_fingerprint_but_the_choice_of_checkpoints() -> None:
    protocols = changed_protocols()
    assert len(protocols) == 3 + len(FIELDS["train"]) + len(FIELDS["evaluation"])
    same = protocols.pop("evaluation.checkpoints")
    assert same.evaluation.checkpoints == ("early",)
    assert same.fingerprint == PAPER.fingerprint
    protocols |= {code: dataclasses.replace(PAPER, attack_code={"pgd": {"code": code}}) for code in ("a", "b")}
    fingerprints = {protocol.fingerprint for protocol in (PAPER, *protocols.values())}
    assert len(fingerprints) == 1 + len(protocols)  # all apart from each other, too


def test_a_runs_identity_takes_the_ball_and_the_training_and_nothing_else() -> None:
    documents = {key: protocol.training_document for key, protocol in changed_protocols().items()}
    changes = {key for key, document in documents.items() if document != PAPER.training_document}
    assert changes == {"epsilon", *(f"train.{field.name}" for field in FIELDS["train"])}


def test_wrappers_and_their_order_are_of_the_fingerprint_and_not_of_the_training() -> None:
    ema: dict[str, Any] = {"ema": {"decay": 0.9}}
    awp: dict[str, Any] = {"awp": {}}
    documents = [PAPER.document() | {"wrappers": wrappers} for wrappers in ({}, ema, awp, ema | awp, awp | ema)]
    protocols = [Protocol.from_document("mine", document) for document in documents]
    protocols.append(protocols[3].with_values({"ema.decay": "0.8", "cw.kappa": 50.0}))
    assert [list(protocol.wrapper_settings) for protocol in protocols[3:5]] == [["ema", "awp"], ["awp", "ema"]]
    assert protocols[5].wrapper_settings == {"ema": {"decay": "0.8"}, "awp": {}}
    assert len({protocol.fingerprint for protocol in protocols}) == 6
    assert protocols[0].fingerprint == PAPER.fingerprint
    assert all(protocol.training_document == PAPER.training_document for protocol in protocols)
    assert refusal(PAPER.document() | {"wrappers": {"ema": 0.9}}).endswith("it must be a table of settings")


def test_the_recipes_change_where_their_papers_say() -> None:
    rice, pang, fastat, wang = (load_protocol(name).train for name in ("rice2020", "pang2021", "fastat", "wang2023"))
    assert [learning_rate(rice, epoch) for epoch in (1, 100, 101, 150, 151, 200)] == pytest.approx(
        [0.1, 0.1, 0.01, 0.01, 0.001, 0.001]
    )
    assert [learning_rate(pang, epoch) for epoch in (100, 101, 105, 106, 110)] == pytest.approx(
        [0.1, 0.01, 0.01, 0.001, 0.001]
    )
    assert (checkpoint_epochs(rice)["early"], checkpoint_epochs(pang)["early"]) == (101, 101)  # one after the drop
    highest = [max(range(1, one.epochs + 1), key=lambda epoch: learning_rate(one, epoch)) for one in (fastat, wang)]
    assert highest == [30, 10]
    assert (learning_rate(fastat, 30), learning_rate(wang, 10)) == (0.1, 0.2)
    for protocol in map(load_protocol, ("rice2020", "pang2021", "fastat", "wang2023")):
        assert protocol.train.threat(protocol.epsilon).step_size == pytest.approx(2 / 255)


def test_the_name_and_the_summary_play_no_part_in_the_fingerprint() -> None:
    renamed = dataclasses.replace(PAPER, name="mine", summary="another")
    assert renamed.fingerprint == PAPER.fingerprint


def test_the_radius_of_the_training_said_again_is_no_other_protocol() -> None:
    again = PAPER.with_values({"evaluation.epsilon": "8/255"})
    assert again.fingerprint == PAPER.fingerprint
    smaller = again.with_values({"epsilon": "4/255"})  # what was said of the evaluation still holds
    assert smaller.evaluation_threat.epsilon == 8 / 255
    assert smaller.fingerprint != PAPER.with_values({"epsilon": "4/255"}).fingerprint


def test_the_order_of_attacks_is_part_of_the_fingerprint_and_the_order_of_keys_is_not() -> None:
    attacks = PAPER.evaluation.attacks
    assert PAPER.with_values({"evaluation.attacks": attacks[::-1]}).fingerprint != PAPER.fingerprint
    document = json.loads(json.dumps(PAPER.document(), sort_keys=True))
    assert Protocol.from_document("paper", document).fingerprint == PAPER.fingerprint


@pytest.mark.parametrize("key", ["epsilon", *(f"{t}.{f.name}" for t, fields in FIELDS.items() for f in fields)])
def test_a_value_written_out_as_text_leaves_the_fingerprint_alone(key: str) -> None:
    value: Any = PAPER
    for part in key.split("."):
        value = getattr(value, part)
    text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
    assert PAPER.with_values({key: text}) == PAPER


def test_with_values_changes_what_it_names_and_leaves_the_protocol_it_is_called_on() -> None:
    before = json.dumps(PAPER.document())
    changed = PAPER.with_values(
        {"epsilon": "1/4", "train.lr_drops": "0.5", "evaluation.steps": "3", "pgd.keep": "worst"}
    )
    assert (changed.name, changed.epsilon, changed.train.lr_drops, changed.evaluation.steps) == (
        "paper",
        0.25,
        (0.5,),
        3,
    )
    assert changed.attack_settings == {"cw": {"kappa": 50.0}, "pgd": {"keep": "worst"}}
    assert changed.evaluation_threat.step_size == 0.0625
    assert json.dumps(PAPER.document()) == before
    back = changed.with_values({"epsilon": PAPER.epsilon, "train.lr_drops": (0.6, 0.9), "evaluation.steps": 20})
    assert dataclasses.replace(back, attack_settings=PAPER.attack_settings) == PAPER


def test_drops_out_of_their_order_are_refused_where_a_user_writes_them(tmp_path: Path) -> None:
    """One training would have two identities; a stored one keeps its name."""
    said = "lr_drops=0.9,0.5 is refused: the fractions must be in their order; write 0.5,0.9"
    with pytest.raises(SettingError, match=said):
        PAPER.with_values({"train.lr_drops": "0.9,0.5"})
    file = tmp_path / "mine.toml"
    file.write_text('base = "paper"\n[train]\nlr_drops = [0.9, 0.5]\n')
    with pytest.raises(SettingError, match=said):
        load_protocol(str(file))
    stored = PAPER.document()
    stored["train"]["lr_drops"] = [0.9, 0.5]
    old = Protocol.from_document("old", stored)
    assert old.train.lr_drops == (0.9, 0.5)
    assert old.with_values({"evaluation.steps": 3}).train.lr_drops == (0.9, 0.5)
    assert PAPER.with_values({"train.lr_drops": "0.5,0.5"}).train.lr_drops == (0.5, 0.5)  # two drops at once


def test_with_values_adds_to_an_attacks_settings() -> None:
    assert PAPER.with_values({"cw.keep": "worst"}).attack_settings == {"cw": {"kappa": 50.0, "keep": "worst"}}


@pytest.mark.parametrize("key", ["lr", "train.epsilon", "evaluation.lr", "name"])
def test_with_values_refuses_what_no_table_has(key: str) -> None:
    with pytest.raises(HarnessError, match=f"unknown .* '{key.split('.')[-1]}'"):
        PAPER.with_values({key: 1})


def test_setting_names_are_all_that_with_values_takes_but_for_the_attacks() -> None:
    attacks = {"cw.kappa", "pgd.keep"}
    assert set(Protocol.setting_names()) == set(changed_protocols()) - attacks

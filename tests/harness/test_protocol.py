"""The protocol: the paper's numbers, written out again by hand, and a fingerprint that misses no field."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from harness.errors import HarnessError, SettingError, UnknownName
from harness.protocol import EvaluationProtocol, Protocol, TrainProtocol, load_protocol, protocol_names
from harness.training.loop import checkpoint_epochs, learning_rate
from tests.tiny import make_threat

PAPER = load_protocol("paper")


def refusal(document: dict[str, Any]) -> str:
    """The one line with which a document is refused."""
    with pytest.raises(HarnessError) as caught:
        Protocol.from_document("mine", document)
    message = str(caught.value)
    assert "\n" not in message
    return message


# ---- the values of methods.md, by hand


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
    train, evaluation = PAPER.train.threat(PAPER.epsilon), PAPER.evaluation.threat(PAPER.epsilon)
    assert (train.epsilon, train.steps, train.start) == (8 / 255, 10, "uniform")
    assert train.step_size == pytest.approx(0.8 / 255, rel=1e-12)  # epsilon / 10
    assert (evaluation.epsilon, evaluation.steps, evaluation.start) == (8 / 255, 20, "uniform")
    assert evaluation.step_size == pytest.approx(2 / 255, rel=1e-12)  # epsilon / 4


def test_the_papers_evaluation() -> None:
    assert PAPER.evaluation.checkpoints == ("early", "last")
    assert PAPER.evaluation.attacks == ("natural", "pgd", "cw", "autoattack")
    assert PAPER.attack_settings == {"cw": {"kappa": 50.0}}


def test_every_bundled_protocol_is_complete_and_summarised() -> None:
    assert protocol_names() == ["digits", "paper"]
    for name in protocol_names():
        protocol = load_protocol(name)
        assert protocol.name == name
        assert protocol.summary
        assert Protocol.from_document(name, protocol.document()) == protocol


# ---- the fingerprint

FIELDS = {"train": dataclasses.fields(TrainProtocol), "evaluation": dataclasses.fields(EvaluationProtocol)}
TEXTS = {
    "train.start": "none",
    "train.precision": "bfloat16",
    "evaluation.start": "gaussian",
    "evaluation.epsilon": "1/8",
}


LATER_FIELDS = ("epsilon",)  # of the evaluation: fingerprints of protocols without it must stay


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
    return {key: PAPER.with_values({key: value}) for key, value in values.items()}


def test_every_field_of_a_protocol_has_a_decision() -> None:
    decided = {"name", "summary", "epsilon", "attack_settings", "attack_code", *FIELDS}
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


# ---- changing values


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
    assert changed.evaluation.threat(changed.epsilon).step_size == 0.0625
    assert json.dumps(PAPER.document()) == before
    back = changed.with_values({"epsilon": PAPER.epsilon, "train.lr_drops": (0.6, 0.9), "evaluation.steps": 20})
    assert dataclasses.replace(back, attack_settings=PAPER.attack_settings) == PAPER


def test_with_values_adds_to_an_attacks_settings() -> None:
    assert PAPER.with_values({"cw.keep": "worst"}).attack_settings == {"cw": {"kappa": 50.0, "keep": "worst"}}


@pytest.mark.parametrize("key", ["lr", "train.epsilon", "evaluation.lr", "name"])
def test_with_values_refuses_what_no_table_has(key: str) -> None:
    with pytest.raises(HarnessError, match=f"unknown .* '{key.split('.')[-1]}'"):
        PAPER.with_values({key: 1})


def test_setting_names_are_all_that_with_values_takes_but_for_the_attacks() -> None:
    attacks = {"cw.kappa", "pgd.keep"}
    assert set(Protocol.setting_names()) == set(changed_protocols()) - attacks


# ---- documents


def document(**changes: Any) -> dict[str, Any]:
    return PAPER.document() | changes


def table(name: str, **changes: Any) -> dict[str, Any]:
    """The paper's document with a table changed; a key that is given as None is left out."""
    values = PAPER.document()[name] | changes
    return document(**{name: {key: value for key, value in values.items() if value is not None}})


def test_an_unknown_table_is_refused_with_near_misses() -> None:
    assert refusal(document(trian={})) == (
        "unknown protocol key 'trian'; did you mean 'train'? known: attacks, epsilon, evaluation, summary, train"
    )


@pytest.mark.parametrize("name", ["train", "evaluation"])
def test_an_unknown_key_is_refused_with_near_misses_and_its_table(name: str) -> None:
    message = refusal(table(name, relative_stepp=1))
    assert message.startswith(
        f"protocol 'mine', table {name}: unknown setting 'relative_stepp'; did you mean 'relative"
    )


@pytest.mark.parametrize("key", ["summary", "epsilon", "train", "evaluation"])
def test_a_missing_key_is_named(key: str) -> None:
    lacking = document()
    del lacking[key]
    assert refusal(lacking) == f"protocol 'mine' does not set {key}; see `harness list protocols`"


@pytest.mark.parametrize(
    "key", [(t, f.name) for t, fields in FIELDS.items() for f in fields if f.name not in LATER_FIELDS], ids=".".join
)
def test_no_field_of_a_table_has_a_default_but_those_that_came_later(key: tuple[str, str]) -> None:
    name, field = key
    assert f"table {name}: {field} must be given: " in refusal(table(name, **{field: None}))


def test_attack_settings_may_be_left_out() -> None:
    bare = document()
    del bare["attacks"]
    assert Protocol.from_document("mine", bare).attack_settings == {}


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("train", "epochs", 0),
        ("train", "batch_size", 1),
        ("train", "lr", 0),
        ("train", "lr", float("nan")),
        ("train", "lr_drops", [0.6, 1.5]),
        ("train", "lr_drops", [0.0]),
        ("train", "momentum", 1.0),
        ("train", "weight_decay", -0.1),
        ("train", "steps", 0),
        ("train", "relative_step", 0),
        ("train", "start", "zero"),
        ("train", "early", 0),
        ("train", "precision", "float16"),
        ("evaluation", "checkpoints", ["best"]),
        ("evaluation", "steps", 0),
        ("evaluation", "block_size", 0),
        ("evaluation", "attacks", 5),
    ],
)
def test_a_value_out_of_range_is_refused(name: str, field: str, value: object) -> None:
    assert f"{field}={value} is refused: it should be" in refusal(table(name, **{field: value}))


def test_a_refused_value_is_named_with_its_table() -> None:
    assert "evaluation" in refusal(table("evaluation", steps=0))  # train has steps, too


def test_an_epsilon_of_eight_says_how_to_write_it() -> None:
    assert refusal(document(epsilon=8)).endswith("so write 8/255 rather than 8")


@pytest.mark.parametrize("value", ["fast", 3, [1]])
def test_attack_settings_that_are_no_tables_are_refused(value: object) -> None:
    assert "is refused" in refusal(document(attacks=value))
    assert "is refused" in refusal(document(attacks={"cw": value}))


@pytest.mark.parametrize("value", [3, [1]])
def test_a_part_that_is_no_table_is_refused(value: object) -> None:
    assert "train" in refusal(document(train=value))


# ---- files

TOML = """
summary = "mine"
epsilon = "1/4"
[train]
epochs = 2
batch_size = 8
lr = 0.1
lr_drops = [0.5]
lr_factor = 0.1
momentum = 0
weight_decay = 0
steps = 3
relative_step = "1/2"
start = "none"
early = 1
precision = "float32"
[evaluation]
checkpoints = ["last"]
steps = 4
relative_step = 0.5
start = "uniform"
block_size = 7
attacks = ["natural", "pgd"]
"""


def test_a_protocol_of_the_users_own_is_read_by_its_path(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(TOML)
    protocol = load_protocol(str(file))
    assert protocol == Protocol(
        name="mine",
        summary="mine",
        epsilon=0.25,
        train=TrainProtocol(
            epochs=2,
            batch_size=8,
            lr=0.1,
            lr_drops=(0.5,),
            lr_factor=0.1,
            momentum=0.0,
            weight_decay=0.0,
            steps=3,
            relative_step=0.5,
            start="none",
            early=1.0,
            precision="float32",
        ),
        evaluation=EvaluationProtocol(
            checkpoints=("last",),
            steps=4,
            relative_step=0.5,
            start="uniform",
            block_size=7,
            attacks=("natural", "pgd"),
        ),
    )
    assert protocol.train.threat(protocol.epsilon).step_size == 0.125


def test_a_copy_of_a_bundled_protocol_under_another_name_is_the_same_protocol(tmp_path: Path) -> None:
    import harness

    bundled = Path(harness.__file__).parent / "protocols" / "paper.toml"
    copy = tmp_path / "renamed.toml"
    copy.write_text(bundled.read_text())
    assert load_protocol(str(copy)).name == "renamed"
    assert load_protocol(str(copy)).fingerprint == PAPER.fingerprint


def test_a_file_that_is_not_toml_is_refused_with_the_place(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("summary = \n")
    with pytest.raises(SettingError, match=r"^protocol 'mine' is not valid TOML: .*line 1") as caught:
        load_protocol(str(file))
    assert "\n" not in str(caught.value)


def test_what_is_neither_a_name_nor_a_file_is_refused_with_near_misses(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match=r"^unknown protocol 'papr'; did you mean 'paper'\? known: digits, paper$"):
        load_protocol("papr")
    (tmp_path / "folder.toml").mkdir()
    for missing in (tmp_path / "missing.toml", tmp_path / "folder.toml"):
        with pytest.raises(UnknownName, match="unknown protocol"):
            load_protocol(str(missing))


def test_the_evaluations_ball_is_the_trainings_unless_it_has_its_own() -> None:
    assert PAPER.evaluation_threat.epsilon == PAPER.epsilon == 8 / 255
    own = PAPER.with_values({"evaluation.epsilon": "4/255"})
    assert own.evaluation_threat == make_threat(4 / 255, steps=20, step_size=1 / 255)
    assert own.training_document == PAPER.training_document  # a run is the same under either
    assert own.fingerprint != PAPER.fingerprint

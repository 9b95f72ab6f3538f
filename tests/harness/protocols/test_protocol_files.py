"""Protocols as documents and files: what is refused, and one of the user's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.errors import SettingError, UnknownName
from harness.protocols.evaluation_protocol import EvaluationProtocol
from harness.protocols.protocol import Protocol, load_protocol, protocol_names
from harness.protocols.train_protocol import TrainProtocol
from tests.harness.documents import FIELDS, LATER_FIELDS, PAPER, refusal
from tests.tiny import make_threat


def document(**changes: Any) -> dict[str, Any]:
    return PAPER.document() | changes


def table(name: str, **changes: Any) -> dict[str, Any]:
    """The paper's document with a table changed; a key that is given as None is left out."""
    values = PAPER.document()[name] | changes
    return document(**{name: {key: value for key, value in values.items() if value is not None}})


def test_an_unknown_table_is_refused_with_near_misses() -> None:
    assert refusal(document(trian={})) == (
        "unknown protocol key 'trian'; did you mean 'train'?"
        " known: attacks, epsilon, evaluation, summary, train, wrappers"
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
        ("evaluation", "checkpoints", ["worst"]),
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
    known = "digits, fastat, pang2021, paper, rice2020, rice2020-l2, wang2023"
    with pytest.raises(UnknownName, match=rf"^unknown protocol 'papr'; did you mean 'paper'\? known: {known}$"):
        load_protocol("papr")
    (tmp_path / "folder.toml").mkdir()
    for missing in (tmp_path / "missing.toml", tmp_path / "folder.toml"):
        with pytest.raises(SettingError, match="there is no protocol file"):
            load_protocol(str(missing))


def test_the_evaluations_ball_is_the_trainings_unless_it_has_its_own() -> None:
    assert PAPER.evaluation_threat.epsilon == PAPER.epsilon == 8 / 255
    own = PAPER.with_values({"evaluation.epsilon": "4/255"})
    assert own.evaluation_threat == make_threat(4 / 255, steps=20, step_size=1 / 255)
    assert own.training_document == PAPER.training_document  # a run is the same under either
    assert own.fingerprint != PAPER.fingerprint


def test_the_table_of_recipes_has_every_protocol_that_ships_and_says_what_it_sets() -> None:
    text = (Path(__file__).parents[3] / "docs/recipes.md").read_text()
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in text.splitlines() if line[:3] == "| `"]
    told = {row[0].strip("`"): row[2:] for row in rows if row[0].strip("`") in protocol_names()}
    assert told.keys() == set(protocol_names())
    for name, (epochs, rate, batch, decay, wrappers) in told.items():
        protocol = load_protocol(name)
        train = protocol.train
        assert (epochs, batch, decay) == (str(train.epochs), str(train.batch_size), str(train.weight_decay)), name
        assert rate.split(",")[0] == str(train.lr), name
        own = [f"{one} {values.get('amount') or values['decay']}" for one, values in protocol.wrapper_settings.items()]
        assert wrappers == (", ".join(own) or "none"), name

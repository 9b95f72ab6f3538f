"""Protocol files that begin from a base: the content alone decides the fingerprint, and mistakes are named."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import HarnessError, UnknownName
from harness.protocols.inheritance import merged
from harness.protocols.protocol import Protocol, load_protocol, protocol_names
from tests.harness.documents import toml

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def call(name: str, text: str = "", **document: Any) -> Path:
        file = tmp_path / f"{name}.toml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text or toml(document))
        return file

    return call


def refused(file: Path) -> str:
    with pytest.raises(HarnessError) as caught:
        load_protocol(str(file))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_nothing_but_a_base_is_the_base(write: Write) -> None:
    protocol = load_protocol(str(write("mine", base="paper")))
    paper = load_protocol("paper")
    assert protocol.name == "mine"
    assert (protocol.document(), protocol.fingerprint) == (paper.document(), paper.fingerprint)


def test_what_follows_changes_the_base_as_set_does(write: Write) -> None:
    changes = {"epsilon": "4/255", "train": {"epochs": 20, "lr_drops": []}, "attacks": {"cw": {"kappa": 1.0}}}
    mine = load_protocol(str(write("mine", base="paper", **changes)))
    values = {"epsilon": "4/255", "train.epochs": "20", "train.lr_drops": "", "cw.kappa": 1.0}
    by_set = load_protocol("paper").with_values(values)
    assert mine.fingerprint == by_set.fingerprint
    assert mine.fingerprint != load_protocol("paper").fingerprint


def test_a_wrapper_that_a_file_changes_stays_in_its_place(write: Write) -> None:
    changes = {"ema": {"decay": 0.9}, "sam": {}}
    mine = load_protocol(str(write("mine", base="fastat", wrappers=changes)))
    assert list(mine.wrapper_settings) == ["sam", "label-smoothing", "ema"]
    mine = load_protocol(str(write("mine", base="fastat", wrappers={"ema": {"decay": 0.9}})))
    assert mine.fingerprint == load_protocol("fastat").with_values({"ema.decay": 0.9}).fingerprint


def test_a_file_that_says_everything_is_the_same_protocol(write: Write) -> None:
    mine = load_protocol(str(write("mine", base="digits", epsilon=0.1, train={"lr": 0.05})))
    whole = load_protocol(str(write("whole", **mine.document())))
    assert whole.fingerprint == mine.fingerprint


def test_a_chain_of_bases_beside_each_other_wherever_it_is_read(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("inner/first", base="paper", epsilon=0.1, train={"epochs": 7, "lr": 0.5})
    write("inner/second", base="first.toml", train={"epochs": 8})
    file = write("third", base="inner/second.toml", evaluation={"steps": 3})
    expected = load_protocol("paper").with_values(
        {"epsilon": 0.1, "train.epochs": 8, "train.lr": 0.5, "evaluation.steps": 3}
    )
    assert load_protocol(str(file)).fingerprint == expected.fingerprint
    monkeypatch.chdir(tmp_path / "inner")
    assert load_protocol("../third.toml").fingerprint == expected.fingerprint


def test_a_summary_is_inherited_and_may_be_changed(write: Write) -> None:
    assert load_protocol(str(write("a", base="digits"))).summary == load_protocol("digits").summary
    assert load_protocol(str(write("b", base="digits", summary="ours"))).summary == "ours"


class TestRefused:
    def test_a_base_that_does_not_exist(self, write: Write) -> None:
        file = write("mine", base="papper")
        assert refused(file) == (
            "protocol 'mine', base: unknown protocol 'papper'; did you mean 'paper'? known: "
            f"{', '.join(protocol_names())};"
            f" or give a TOML file beside {file}"
        )

    def test_an_asked_protocol_that_does_not_exist(self) -> None:
        with pytest.raises(UnknownName, match="did you mean 'digits'"):
            load_protocol("digit")

    def test_a_circle(self, write: Write) -> None:
        write("b", base="sub/../c.toml")
        write("c", base="a.toml")
        write("sub/unused", base="paper")
        message = refused(write("a", base="b.toml"))
        assert message.startswith("protocol 'a' is refused: its bases make a circle, ")
        assert message.endswith("a.toml")

    def test_a_file_that_is_its_own_base(self, write: Write) -> None:
        assert "circle" in refused(write("a", base="a.toml"))

    @pytest.mark.parametrize("base", [5, ["paper"], {"name": "paper"}, True])
    def test_a_base_that_is_no_text(self, write: Write, base: object) -> None:
        assert "protocol 'mine': base=" in refused(write("mine", base=base))

    @pytest.mark.parametrize(
        ("wrong", "parts"),
        [
            ({"bass": "paper"}, ["unknown protocol key 'bass'", "did you mean 'base'"]),
            ({"trian": {}}, ["unknown protocol key 'trian'", "did you mean 'train'"]),
            ({"train": {"epoch": 3}}, ["table train: unknown setting 'epoch'", "did you mean 'epochs'"]),
            ({"train": 5}, ["train must be a table, and is 5"]),
            ({"attacks": {"cw": 5}}, ["cw=5 is refused: it must be a table"]),
            ({"epsilon": 8}, ["epsilon=8 is refused", "8/255"]),
        ],
    )
    def test_a_wrong_key_or_value_beside_a_base(self, write: Write, wrong: dict[str, Any], parts: list[str]) -> None:
        message = refused(write("mine", **({"base": "paper"} | wrong)))
        assert [part for part in parts if part not in message] == []

    def test_the_file_with_the_mistake_is_named_and_not_the_one_that_begins_from_it(self, write: Write) -> None:
        write("broken", base="paper", train={"lrr": 0.1})
        assert refused(write("mine", base="broken.toml")).startswith("protocol 'broken', table train: ")

    @pytest.mark.parametrize("content", [b"\xff\xfe", b"= 5", b"a = [" * 3000])
    def test_a_base_that_is_no_toml(self, write: Write, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "odd.toml").write_bytes(content)
        assert refused(write("mine", base="odd.toml")).startswith("protocol 'odd' is not ")


L2, OWN = {"train.norm": "L2"}, {"evaluation.epsilon": 0.1}


@pytest.mark.parametrize(
    ("base", "changes", "refused_key"),
    [
        ({}, L2, "train.norm=L2 is refused without epsilon: 8/255 is a radius in Linf"),
        ({}, L2 | {"epsilon": "8/255"}, None),  # the same number, but said
        ({}, {"evaluation.norm": "L2"}, "evaluation.norm=L2 is refused without evaluation.epsilon: 8/255 is a radius"),
        ({}, {"evaluation.norm": "L2", "evaluation.epsilon": 0.5}, None),
        ({}, {"train.norm": "Linf"}, None),  # as before
        (OWN, L2 | {"epsilon": 0.5}, "evaluation.norm=L2 is refused without evaluation.epsilon: 0.1 is a radius"),
        (OWN, L2 | {"epsilon": 0.5, "evaluation.norm": "Linf"}, None),  # the evaluation's ball is as before
        (OWN, {"evaluation.norm": "none"}, None),
        (L2 | {"epsilon": 0.5}, {"train.norm": "Linf"}, "train.norm=Linf is refused without epsilon: 0.5 is a radius"),
        (L2 | {"epsilon": 0.5}, {"epsilon": 1}, None),
    ],
)
def test_a_norm_is_said_with_its_radius_by_set_and_in_a_file(
    write: Write, base: dict[str, Any], changes: dict[str, Any], refused_key: str | None
) -> None:
    """Else a ball of 8/255 in L2, which breaks hardly an image, would follow from one in L-infinity."""
    known = load_protocol("paper").with_values(base)
    below = write("below", "", base="paper", **nested(base))
    above = write("above", "", base=below.name, **nested({k: v for k, v in changes.items() if v != "none"}))
    if refused_key is None:
        known.with_values(changes)
        load_protocol(str(above))
    else:
        with pytest.raises(HarnessError, match=f"^{refused_key}"):
            known.with_values(changes)
        assert refused_key in refused(above)


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """A document of a protocol's values by their dotted names."""
    document: dict[str, Any] = {}
    for key, value in values.items():
        table, _, leaf = key.rpartition(".")
        (document.setdefault(table, {}) if table else document)[leaf] = value
    return document


def test_a_mark_at_the_beginning_of_a_file_is_no_part_of_it(write: Write) -> None:
    file = write("mine", "\ufeffbase = 'paper'\r\nepsilon = 0.1\r\n")
    assert load_protocol(str(file)).epsilon == 0.1


SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "epsilon": st.sampled_from([0.1, 0.25]),
        "train": st.dictionaries(st.sampled_from(["epochs", "steps", "batch_size"]), st.integers(2, 9), max_size=3),
        "evaluation": st.dictionaries(st.sampled_from(["steps", "block_size"]), st.integers(2, 9), max_size=2),
    },
)


@given(st.lists(SETTINGS, min_size=1, max_size=4))
def test_the_last_word_on_each_key_counts(chain: list[dict[str, Any]]) -> None:
    """Against a slow way: change the paper's protocol key by key, from the farthest base to the asked file."""
    paper = load_protocol("paper")
    slow = paper
    for document in reversed(chain):
        for key, value in document.items():
            pairs = value.items() if isinstance(value, Mapping) else [("", value)]
            for inner, each in pairs:
                slow = slow.with_values({f"{key}.{inner}" if inner else key: each})
    fast = Protocol.from_document("paper", merged([*chain, paper.document()]))
    assert fast.fingerprint == slow.fingerprint

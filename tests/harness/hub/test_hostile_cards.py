"""Names, settings, reasons, and notes with markup: none becomes markup in a card, neither in YAML nor in Markdown."""

from __future__ import annotations

import json

import pytest

from harness.errors import visible
from harness.identity import digest
from harness.store.records import DatasetRecord
from harness.store.store import Store
from tests.harness.hub.cards import Card, text_of
from tests.hostile_labels import LABELS, unseen
from tests.hub_store import EXAMPLES, OneRun, flagged
from tests.stores import add_evaluation, right

HOSTILE = [
    "<script>alert(1)</script>",
    "<!-- hidden",
    "[click](https://evil.example)",
    "![x](https://evil.example/x.png)",
    "`code` ```",
    "a | b | c",
    "\\| <b>x</b>",
    "# Heading\n\n# Another",
    "x\n---\nlicense: evil\n---\n# New",
    "---",
    "- a: {b: c} # comment",
    "'\"\n  injected: true",
    "*bold* _em_ ~~gone~~ $x$ &lt; @user #1 https://evil.example www.evil.example",
    "\x1b[31m\u202eevil\u2028\x00",
    "!!python/object:os.system",
    "{{ 7 * 7 }}{% raw %}",
    *(label for label in LABELS if label != "<script>alert(1)</script>"),
]
_OWN = 16  # the first ones are of this page
RUNS = pytest.mark.parametrize(
    "run",
    [
        pytest.param(place, marks=[] if place < _OWN or place % 6 == 0 else [pytest.mark.slow], id=ascii(text))
        for place, text in enumerate(HOSTILE)
    ],
    scope="module",
)
HEADINGS = [
    *("Accuracy", "Attacks", "Checks of rigour", "Training", "Code, versions, and device"),
    *("How to load it", "Licence", "Citation"),
]


@pytest.fixture(scope="module")
def card(run: int, tmp_path_factory: pytest.TempPathFactory) -> Card:
    """The card of a run; every text of it that a user can choose is that one."""
    place = tmp_path_factory.mktemp("hostile")
    store = Store.write(str(place / "leaderboard.db"))
    for text in [HOSTILE[run]]:
        names = {"method": text, "method_settings": {text: text}, "code": {text: text}}
        wrappers = ({"name": text, "settings": {text: text}, "departures": {text: text}},)
        dataset = DatasetRecord(text, digest(text), 10, 40, 3, 8, 8, 10, tuple(text for _ in range(10)))
        training = {"epsilon": 0.2, "epochs": 2, "name": text}
        made = OneRun(place, dataset, into=store, wrappers=wrappers, training=training, **names)
        made.measure(warnings=(text,))
        record = made.record
        for worse, attack in enumerate((text, visible(text), "cafe\u0301", "caf\u00e9")):
            if attack:
                add_evaluation(store, record, attack, {text: text}, right(30 - worse, EXAMPLES))
        made.examine(flagged(text, "A", text))
        store.annotate(made.run, text)
        made.end()
    store.close()
    return Card(text_of(place / "leaderboard.db", 1, with_note=True))


@RUNS
def test_nothing_becomes_markup(card: Card) -> None:
    assert card.headings()[1:] == HEADINGS
    kinds = {token.type for token in card.tokens}
    assert kinds & {"html_block", "html_inline", "link_open", "image", "em_open", "s_open", "hr"} == set()
    assert {len(row) for row in card.rows()} == {2, 6}
    assert unseen(card.text) == set()
    figures = {row[0]: row[1] for row in card.rows() if len(row) == 6}
    assert (figures["`cafe\\u0301`"], figures["`caf\u00e9`"]) == ("70.00", "67.50")
    assert len([token for token in card.tokens if token.type == "fence"]) == 2


@RUNS
def test_the_head_has_its_keys_and_no_other(card: Card, run: int) -> None:
    head = card.head
    assert head.keys() == {"library_name", "metrics", "pipeline_tag", "tags", "model-index"}
    assert head["tags"] == ["adversarial-robustness", "adversarial-training", "pytorch", "safetensors"]
    ((result,),) = [index["results"] for index in head["model-index"]]
    assert result.keys() == {"task", "dataset", "metrics"}
    assert unseen(json.dumps(head, ensure_ascii=False)) == set()
    assert result["dataset"].keys() == {"name", "type", "split", "args"}
    assert result["dataset"]["name"] == visible(HOSTILE[run])
    values = [metric["value"] for metric in result["metrics"]]
    assert values[:4] == [85.0, 50.0, 47.5, 25.0]
    assert set(values[4:]) <= {75.0, 72.5, 70.0, 67.5}

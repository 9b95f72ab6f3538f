"""Hostile labels on the site: no text of a page acts or hides, no two keys become one, and no address is a label's."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from harness.errors import legible
from harness.site.packed import replaced
from harness.site.pages import PAGES, Files
from tests.harness.site.made import Parsed, site_of, unpacked
from tests.hostile_labels import LABELS, PLAIN, TWINS, L, hostile_store, unseen

DATA = ("boards", "comparisons", "methods", "runs")
ADDRESS = re.compile(
    r"(index|compare|method|run)\.html(#(run|method)=[\w%.~-]+)?|#(main|tab-\d+)|leaderboard\.json|"
    r"static/[\w./-]+|data:,",
    re.ASCII,
)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    file = tmp_path_factory.mktemp("labels") / "foreign.db"
    hostile_store(file)
    return site_of(file)


def texts_of(value: Any) -> Iterator[str]:
    """Every key and every text of a document."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from texts_of(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts_of(item)
    elif isinstance(value, str):
        yield value


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_no_element_no_address_and_no_character_of_a_label(page: str, files: Files) -> None:
    parsed = Parsed(files[page])
    assert unseen(files[page].decode()) == set()
    assert parsed.named("img") + parsed.named("iframe") + parsed.named("object") + parsed.named("form") == [
        element for element in parsed.named("form") if element.attributes["id"] == "filters"
    ]
    attributes = [(key, value) for element in parsed.elements for key, value in element.attributes.items()]
    assert [key for key, _ in attributes if key.startswith("on") or key == "style"] == []
    addresses = [value for key, value in attributes if key in ("href", "src", "action")]
    assert len(addresses) > 5
    assert [address for address in addresses if not (ADDRESS.fullmatch(address) or address.startswith("data/"))] == []


@pytest.mark.parametrize("name", DATA)
def test_a_document_has_no_character_that_acts_or_hides(name: str, files: Files) -> None:
    texts = list(texts_of(unpacked(files[f"data/{name}.js"])))
    assert len(texts) > 100 or name == "comparisons"
    assert [text for text in texts if unseen(text)] == []
    assert files[f"data/{name}.js"].isascii()


def test_every_label_is_a_row_a_run_and_a_method_of_its_own(files: Files) -> None:
    every = {legible(label) for label in (L, *LABELS)}
    runs = unpacked(files["data/runs.js"])
    assert {run["method"] for run in runs["runs"]} == every
    assert {model["label"] for model in runs["models"]} == every
    assert {method["name"] for method in unpacked(files["data/methods.js"])} == every
    heads = [e.text for e in Parsed(files["index.html"]).named("th") if e.attributes.get("scope") == "row"]
    for label in every:
        assert any(head.startswith(label) for head in heads), label


def test_data_stay_as_they_are(files: Files) -> None:
    assert files["leaderboard.json"].isascii()
    assert {row["method"] for row in json.loads(files["leaderboard.json"])["rows"]} >= set(LABELS)


def test_no_two_keys_become_one_and_lines_stay_lines() -> None:
    names = [*dict.fromkeys([*LABELS, *PLAIN, *(name for pair in TWINS for name in pair)])]
    document = replaced({name: [name] for name in names})
    assert len(document) == len(names)
    assert replaced({"about": ["@article{x,\n  title = {\\n}\n}"]}) == {"about": ["@article{x,\n  title = {\\n}\n}"]}

"""Hostile labels in what is written, and shown, for a model hub: they are data in JSON, and act nowhere."""

from __future__ import annotations

import ast
import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cli.conftest import Ends
from tests.harness.hub.cards import Card
from tests.hostile_labels import LABELS, sampled, unseen
from tests.hub_store import DATASET, OneRun


@pytest.mark.parametrize("label", sampled(LABELS))
def test_a_folder_and_an_upload_of_a_run_with_such_names(label: str, ends: Ends, elsewhere: Path) -> None:
    in_a_folder = not set(label) & {"/", "\0"} and label != ".."  # the run's folder has these names in its own
    name = label if in_a_folder else "sat"
    dataset = replace(DATASET, name=name, class_names=(label,) * 10)
    wrappers = ({"name": name, "settings": {label: label}, "departures": {label: label}},)
    made = OneRun(elsewhere, dataset, method=name, method_settings={label: label}, wrappers=wrappers)
    made.measure(warnings=(label,))
    made.store.annotate(made.run, label)
    made.end()
    made.store.close()
    code, out, err = ends("upload 1 --to me/digits --dry-run --with-note")
    assert (code, unseen(out + err)) == (0, set()), err
    assert [line for line in out.splitlines() if line.lstrip().startswith("forged")] == []
    code, _, err = ends("export hub 1 --out made --with-note")
    assert (code, unseen(err)) == (0, set())
    files = {path.name: path.read_bytes() for path in Path("made").iterdir()}
    assert files.keys() == {"README.md", "model.safetensors", "config.json", "load_model.py"}
    card = Card(files["README.md"].decode())
    assert unseen(card.text) == set()
    assert {token.type for token in card.tokens} & {"html_block", "html_inline", "link_open", "image"} == set()
    assert files["config.json"].isascii()
    assert files["load_model.py"].isascii() or unseen(files["load_model.py"].decode()) == set()
    run = json.loads(files["config.json"])["run"]
    assert (run["method"], run["dataset"], run["method_settings"]) == (name, name, {label: label})
    imported = {
        node.names[0].name for node in ast.walk(ast.parse(files["load_model.py"])) if isinstance(node, ast.Import)
    }
    assert imported == {"hashlib", "safetensors.torch"}

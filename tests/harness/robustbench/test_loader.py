"""The code that harness writes about a run is the same code whatever the store holds: only its constants differ."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.errors import HarnessError
from harness.robustbench.loader import loader
from harness.store.records import CheckpointRecord, RunRecord
from harness.store.store import Store
from tests import stores

HOSTILE = [
    *("'", '"', '"""', "\\", "\\'''", "{x}", "{{", "\n", "\r\u2028\x00\x1b[31m\u202e"),
    "'); import os; os._exit(1) #",
]


@pytest.fixture
def run() -> RunRecord:
    store = Store.in_memory()
    made = stores.start(store, stores.make_spec(network_settings={"width": 4}))
    stores.add_checkpoint(store, made)
    kept = store.run(made.id)
    store.close()
    return kept


def shape_of(run: RunRecord, checkpoint: CheckpointRecord, weights: str = "last.safetensors") -> str:
    """The code without its constants."""
    tree = ast.parse(loader(run, checkpoint, Path(weights), command="harness export robustbench 1"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant):
            node.value = type(node.value).__name__
        if isinstance(node, ast.Dict):
            node.keys, node.values = [], []
    return ast.dump(tree)


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_of_the_store_becomes_code(text: str, run: RunRecord) -> None:
    (checkpoint,) = run.checkpoints
    plain = shape_of(run, checkpoint)
    changes: list[dict[str, Any]] = [
        {"network": text},
        {"network_settings": {text: text, "width": [text, {text: None}]}},
        {"code": {"network": text}},
        {"code": {"network": {text: [text]}}},
        {"method": text, "note": text, "folder": text},
    ]
    assert all(shape_of(replace(run, **one), checkpoint) == plain for one in changes if one.keys() != {"code"})
    for one in changes:
        names = {
            n.id
            for n in ast.walk(ast.parse(loader(replace(run, **one), checkpoint, Path("w"), command="c")))
            if isinstance(n, ast.Name)
        }
        assert "os" not in names
    assert shape_of(run, replace(checkpoint, sha256=text)) == plain
    if "\x00" not in text:  # no path has it
        assert shape_of(run, checkpoint, f"{text}/last.safetensors") == plain
    with pytest.raises(HarnessError, match="it is no file's name"):
        loader(run, replace(checkpoint, name=f"last{text}"), Path("w"), command="c")


@pytest.mark.parametrize("column", ["channels", "height", "width", "classes"])
def test_sizes_are_numbers(column: str, run: RunRecord) -> None:
    (checkpoint,) = run.checkpoints
    sizes: dict[str, Any] = {column: "8, print('ran'), 8"}
    hostile = replace(run, dataset=replace(run.dataset, **sizes))
    with pytest.raises(ValueError, match="invalid literal"):  # the store refuses such a row before
        loader(hostile, checkpoint, Path("w"), command="c")

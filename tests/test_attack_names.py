"""The engine names no attack and no method: it asks what an attack declares to be."""

from __future__ import annotations

import ast
from pathlib import Path

from harness.registry.catalogue import discover

ROOT = Path(__file__).parents[1]
MAY_NAME = {
    "harness/figures/": "figures of one paper, and the colour of each method that ships",
    "harness/leaderboard/failed_seeds.py": "natural accuracy is judged by itself, that under an attack beside others",
    "harness/leaderboard/gap_judge.py": "an alarm that is relative to plain adversarial training",
    "harness/leaderboard/radii.py": "natural accuracy is what a curve over radii has at radius 0",
    "harness/reference/": "figures that publications print, by attack",
    "harness/reproduction/recipes.py": "what trains the rows of one publication's tables",
    "harness/robustbench/": "a leaderboard of AutoAttack",
    "harness/runtime/provenance.py": "the faster way of computing is called fast in stored provenance, as a method is",
    "harness/site/": "pages that draw natural against robust accuracy",
    "harness/targets/probe.py": "noise is what passes of one model differ by; stored probes call it so",
    "harness/targets/zoo.py": "a Python module that RobustBench imports",
}
MAY_IMPORT = {"harness/figures/views.py": "the vulnerability of the paper's figures is that of its method"}
PURPOSES = {"generator", "derive_seed"}  # what is drawn for them is part of stored figures: no names of plugins


def test_the_engine_names_no_attack_and_no_method() -> None:
    names = {*discover("attacks").found, *discover("methods").found}
    found = []
    for file in sorted((ROOT / "harness").rglob("*.py")):
        place = file.relative_to(ROOT).as_posix()
        if not place.startswith(tuple(MAY_NAME)):
            found += [f"{place}:{node.lineno} {node.value!r}" for node in literals(file) if node.value in names]
    assert found == []


def test_the_engine_imports_no_attack_and_no_method() -> None:
    """Through discovery alone, so that those that ship come through the same door as a plugin."""
    packages = ("harness.attacks", "harness.methods")
    for file in sorted((ROOT / "harness").rglob("*.py")):
        if file.relative_to(ROOT).as_posix() in MAY_IMPORT:
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not any(module.startswith(packages) for module in modules), file


def literals(file: Path) -> list[ast.Constant]:
    """A module's string literals, without the purposes that seeds are derived for."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    purposes = {id(n) for c in ast.walk(tree) if isinstance(c, ast.Call) and called(c) in PURPOSES for n in c.args}
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in purposes
    ]


def called(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else ""

"""One word, one thing: the part of the glossary in ``docs/architecture.md`` to which a test can hold the code."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import harness
from harness.registry.catalogue import KINDS

PACKAGE = Path(harness.__file__).parent
ARCHITECTURE = (PACKAGE.parent / "docs" / "architecture.md").read_text(encoding="utf-8")

MAY_SHARE = {
    # a command's function has the command's name, and calls the engine's function of that name
    "compare": {"cli/compare.py", "comparison/comparison.py"},
    "evaluate": {"api/evaluate.py", "cli/evaluate.py", "evaluator.py"},
    "run": {"cli/run.py", "api/run.py"},
    "tune": {"cli/tune.py", "api/tune.py"},
    # each publication gives its figures; the package's __init__ reads them all
    "figures": {"reference/fastat.py", "reference/lrat_paper.py"},
    # the package's __init__ asks the publication that gives the accuracies of each network
    "networks_behind": {"reference/__init__.py", "reference/fastat.py"},
}
CHECKS = "conformance/"  # the checks of a kind are named by what they ask; kinds ask the same, and what others give

INSTEAD_OF = {
    "eps": "epsilon",
    "arch": "network",
    "architecture": "network",
    "adv_x": "x_adv",
    "iterations": "steps",
    "num_steps": "steps",
    "n_steps": "steps",
    "stepsize": "step_size",
    "geometric_distance": "steps_to_flip",
    "kappa": "steps_to_flip, or the confidence of CW in the modules of CW",
}
MAY_SAY: dict[str, tuple[str, ...]] = {
    "arch": ("api/", "cli/"),  # users type --arch, and arch= in Python
    "kappa": ("attacks/cw.py", "methods/_local_weights.py", "methods/gairat.py", "plugin/adversary.py"),  # CW's
}


@cache
def _modules() -> dict[str, ast.Module]:
    """Every module of the package but the steps of migrations, which are never edited."""
    files = {*PACKAGE.rglob("*.py"), *PACKAGE.glob("*/*.py")}  # the second goes through links
    named = {file.relative_to(PACKAGE).as_posix(): file for file in sorted(files)}
    return {
        name: ast.parse(file.read_text(encoding="utf-8")) for name, file in named.items() if "migrations/" not in name
    }


def _public(kind: type[ast.ClassDef | ast.FunctionDef]) -> dict[str, set[str]]:
    """The modules that define each public class, or function, at their top level."""
    found = defaultdict(set)
    for module, tree in _modules().items():
        for node in tree.body:
            if isinstance(node, kind) and not node.name.startswith("_"):
                found[node.name].add(module)
    return found


def _parameters_and_fields(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id


@pytest.mark.parametrize("kind", [ast.ClassDef, ast.FunctionDef], ids=["class", "function"])
def test_no_two_have_one_name(kind: type[ast.ClassDef | ast.FunctionDef]) -> None:
    places = {
        name: {module for module in modules if not module.startswith(CHECKS)} - MAY_SHARE.get(name, set())
        for name, modules in _public(kind).items()
    }
    assert {name: modules for name, modules in places.items() if len(modules) > 1} == {}


def test_what_may_share_a_name_still_does() -> None:
    functions = _public(ast.FunctionDef)
    assert {name: functions[name] & modules for name, modules in MAY_SHARE.items()} == MAY_SHARE


def test_a_parameter_and_a_field_have_the_word_of_the_glossary() -> None:
    said = [
        f"{module}: {name}; write {INSTEAD_OF[name]}"
        for module, tree in _modules().items()
        for name in _parameters_and_fields(tree)
        if name in INSTEAD_OF and not module.startswith(MAY_SAY.get(name, ()))
    ]
    assert said == []


@cache
def _glossary() -> dict[str, str]:
    section = ARCHITECTURE.split("## Words")[1].split("\n## ")[0]
    return dict(re.findall(r"^\| (?!word|---)(.+?) \| (.+?) \|$", section, re.MULTILINE))


def test_the_glossary_names_classes_that_there_are() -> None:
    named = re.findall(r"`([A-Z]\w+)`", " ".join(_glossary().values()))
    assert named
    assert set(named) <= set(_public(ast.ClassDef))


def test_the_glossary_names_each_kind_of_plugin() -> None:
    (kinds,) = (word for word, meaning in _glossary().items() if meaning.endswith("kinds of plugin"))
    assert {f"{word.replace(' ', '')}s" for word in kinds.split(", ")} == set(KINDS)

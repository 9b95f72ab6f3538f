"""What is read from a file never runs as code: every call that could do so is listed here, with the reason."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import harness

ROOT = Path(harness.__file__).parents[1]
FOLDERS = ("harness", "methods", "attacks", "scripts", "benchmarks")

ALLOWED = {
    ("harness/execution/executors/carried.py", "pickle.loads"): "an error that a worker of this program sends back",
    ("harness/execution/executors/processes.py", "pickle.loads"): "a pipe between this program and its own workers",
    ("harness/execution/executors/together.py", "pickle.loads"): "a queue between this program and its own workers",
    ("harness/trackers/apart.py", "pickle.load"): "a pipe to a process that this program started",
    ("harness/trackers/child.py", "pickle.load"): "the other end of that pipe",
    ("harness/registry/importing.py", "exec_module"): "a Python file that the user named as code",
}

ALWAYS = {
    *(f"{module}.{name}" for module in ("pickle", "dill", "cloudpickle", "joblib") for name in ("load", "loads")),
    *("pickle.Unpickler", "shelve.open", "marshal.load", "marshal.loads", "eval", "exec", "compile", "exec_module"),
    *("yaml.load", "yaml.unsafe_load", "yaml.full_load", "torch.jit.load", "torch.hub.load", "runpy.run_path"),
    *("pandas.read_pickle", "pd.read_pickle", "os.system", "os.popen"),
}
ONLY_WITH = {"torch.load": ("weights_only", True), "np.load": ("allow_pickle", False)}
ONLY_WITH["numpy.load"] = ONLY_WITH["np.load"]


def dangers(text: str) -> Iterator[str]:
    """The calls in a source that could run what they read; ``exec_module`` whatever it is called on."""
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        if name in ONLY_WITH:
            key, value = ONLY_WITH[name]
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            if given.get(key) != repr(value):
                yield name
        elif name in ALWAYS or name.rpartition(".")[2] == "exec_module":
            yield name if name in ALWAYS else "exec_module"


def imported_by_name(text: str) -> set[str]:
    """Such functions that a source imports alone, so that a call would not show the module."""
    froms = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom))
    names = {f"{node.module}.{alias.name}" for node in froms for alias in node.names}
    return names & (ALWAYS | ONLY_WITH.keys())


def test_each_is_listed_with_its_reason_and_none_is_listed_in_vain() -> None:
    found: Counter[tuple[str, str]] = Counter()
    for folder in FOLDERS:
        for file in sorted((ROOT / folder).rglob("*.py")):
            text, name = file.read_text(encoding="utf-8"), file.relative_to(ROOT).as_posix()
            assert imported_by_name(text) == set(), name
            found.update((name, danger) for danger in dangers(text))
    assert found.keys() == ALLOWED.keys()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("torch.load(f)", ["torch.load"]),
        ("torch.load(f, weights_only=False)", ["torch.load"]),
        ("torch.load(f, weights_only=safe)", ["torch.load"]),
        ("torch.load(f, weights_only=True)", []),
        ("np.load(f)", ["np.load"]),
        ("np.load(f, allow_pickle=True)", ["np.load"]),
        ("np.load(f, allow_pickle=False)", []),
        ("pickle.loads(b)", ["pickle.loads"]),
        ("yaml.load(f, SafeLoader)", ["yaml.load"]),
        ("yaml.safe_load(f)", []),
        ("json.loads(t)", []),
        ("model.eval()", []),
        ("eval(t)", ["eval"]),
        ("spec.loader.exec_module(m)", ["exec_module"]),
    ],
)
def test_the_walk_sees_what_it_should(text: str, expected: list[str]) -> None:
    assert list(dangers(text)) == expected


def test_a_function_that_is_imported_alone_is_seen() -> None:
    assert imported_by_name("from pickle import loads\nfrom torch import load, nn") == {"pickle.loads", "torch.load"}

"""Hooks and hosted CI run what ``make test`` runs, on the Pythons that the package says it runs on."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HOOKS = ROOT / ".pre-commit-config.yaml"
CI = ROOT / ".github/workflows/test.yml"
TEMPLATE = ROOT / ".github/ISSUE_TEMPLATE/add-a-method.yml"
PYTHON = "Programming Language :: Python :: "


def recipe(target: str) -> list[str]:
    """The commands of a target of the Makefile."""
    lines = (ROOT / "Makefile").read_text().splitlines()
    after = lines[next(i for i, line in enumerate(lines) if line.startswith(f"{target}:")) + 1 :]
    return [line.strip() for line in after[: after.index("")]]


@pytest.mark.parametrize("file", [HOOKS, CI, TEMPLATE], ids=lambda file: file.name)
def test_each_line_is_of_the_part_of_yaml_that_no_parser_reads_otherwise(file: Path) -> None:
    """No parser is among the dependencies. Lines are ``key: value``, or of a text that ``|`` or ``>-`` begins."""
    text_deeper_than = None
    for line in filter(str.strip, file.read_text(encoding="utf-8").splitlines()):
        indent = len(line) - len(line.lstrip(" "))
        if text_deeper_than is not None and indent > text_deeper_than:
            continue
        text_deeper_than = None
        content = line.strip().removeprefix("- ").partition("  #")[0]
        if not content.startswith("#"):
            assert indent % 2 == 0
            pair = re.fullmatch(r"([\w-]+):(?: (\S.*))?", content)
            assert pair, line
            key, value = pair.groups("")
            text_deeper_than = indent if value in ("|", ">-") else None
            quoted = value.startswith('"') and value.endswith('"')
            assert quoted or value in ("|", ">-") or not re.search(r"^[\"'|>@%&*!`]|: | #|:$", value), key


def test_hosted_ci_runs_the_test_command_on_every_python_of_the_package() -> None:
    workflow = CI.read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = {text.removeprefix(PYTHON) for text in project["classifiers"] if text.startswith(PYTHON)}
    (matrix,) = re.findall(r"python: \[(.*)\]", workflow)
    assert set(re.findall(r"[\d.]+", matrix)) == named
    assert re.findall(r"run: (.*)", workflow) == ["make test PYTHON=python"]
    assert "`make test`" in (ROOT / "CONTRIBUTING.md").read_text()


def test_hooks_are_commands_of_make_test() -> None:
    entries = re.findall(r"entry: \.venv/bin/(.*)", HOOKS.read_text())
    tested = " ".join(recipe("test")).replace("$(BIN)/", "")
    assert [entry.removesuffix(" --fix") for entry in entries] == ["ruff check", "ruff format", "mypy"]
    assert all(entry.removesuffix(" --fix") in tested for entry in entries)


def test_a_new_method_is_asked_for_what_its_file_and_its_tests_say() -> None:
    asked = re.findall(r"^    id: (.*)$", TEMPLATE.read_text(), re.MULTILINE)
    assert asked == ["paper", "equations", "hyper-parameters", "departs", "official-code", "expected-figures"]
    assert TEMPLATE.read_text().count("required: true") == len(asked)

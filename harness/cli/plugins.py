"""``harness new`` and ``harness check``: write a plugin, and check it."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli import completion
from harness.cli.console import print_json, print_line
from harness.cli.grouped import grouped
from harness.cli.options import AS_JSON, PLUGINS, argument, place
from harness.errors import HarnessError, UnknownName
from harness.runtime.printing import prints_to

if TYPE_CHECKING:
    from harness.registry.catalogue import Catalogue

Kind = Annotated[str, argument("KIND", "method, attack, dataset, network, or wrapper.", complete=completion.kinds)]


@grouped
def new(
    kind: Kind,
    name: Annotated[str, argument("NAME", "The plugin's name: lower-case letters, digits, and hyphens.")],
    folder: Path = place("--dir PATH", "The folder to write both files to.", Path(), shown="here"),
) -> None:
    """Write a plugin to start from, NAME.py, which works, is commented, and has one setting; and write its test."""
    from importlib import resources
    from string import Template

    from harness.files import write_together

    taken = _catalogue(kind).found.get(name)
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise HarnessError(f"{name!r} is refused: a name is lower-case letters and digits, joined by hyphens")
    if taken is not None:
        raise HarnessError(f"the {kind} {name!r} is there already, in {taken.where}; choose another name")
    stem = name.replace("-", "_")
    words = {"name": name, "kind": kind, "file": f"{stem}.py", "title": name.replace("-", " ").capitalize()}
    words["cls"] = "".join(part.capitalize() for part in name.split("-"))
    files = {folder / f"{stem}.py": kind, folder / f"test_{stem}.py": "test"}
    for file in files:
        if file.exists():
            raise HarnessError(f"{file} is there already; choose another name or --dir")
    if not folder.is_dir():
        raise HarnessError(f"--dir {folder} is not a directory; make it first")
    templates = resources.files("harness.plugin") / "templates"
    texts = {file: (templates / f"{name}.txt").read_text(encoding="utf-8") for file, name in files.items()}
    write_together({file: Template(text).substitute(words).encode() for file, text in texts.items()})
    first, second = files
    print_line(f"wrote {first} and {second}")
    print_line(f"  harness check {kind} {name} --plugin {first}")
    use = {
        "method": f"{name} --plugin {first} --dataset digits --arch smallcnn",
        "attack": f"sat --attacks natural,{name} --plugin {first} --dataset digits --arch smallcnn",
        "dataset": f"sat --dataset {name} --plugin {first} --arch smallcnn",
        "network": f"sat --arch {name} --plugin {first} --dataset digits",
        "wrapper": f"sat --wrap {name} --plugin {first} --dataset digits --arch smallcnn",
    }
    print_line(f"  harness run {use[kind]}")


@grouped
def check(
    kind: Kind,
    name: Annotated[str, argument("NAME", "The plugin's name.", complete=completion.of_kind)],
    plugins: list[Path] | None = PLUGINS,
    argument: str | None = place(
        "--argument TEXT", "For a data set such as folder: what follows the colon in --dataset NAME:TEXT."
    ),
    as_json: bool = AS_JSON,
) -> None:
    """Run the contract tests on a plugin, in seconds, and say what is wrong; exit code 1 if a test fails."""
    files = tuple(plugins or ())
    catalogue = _catalogue(kind, files)
    from harness.conformance import run_checks
    from harness.plugin.dataset import DataSource

    catalogue.refuse_broken(files)
    front, _, rest = name.partition(":")
    if rest and front in catalogue.found:
        raise HarnessError(f"{name!r} is refused: write harness check {kind} {front} --argument {rest}")
    cls = catalogue.get(name)
    field = cls.argument if issubclass(cls, DataSource) else None
    made = cls.from_mapping({field: argument} if field and argument else {})
    with prints_to(sys.stderr):
        findings = list(run_checks(kind, made))
    if as_json:
        print_json({"checks": [{"check": f.check, "problem": f.problem} for f in findings]})
    else:
        print_line(f"{kind} {name}, from {catalogue.found[name].where}")
        for finding in findings:
            print_line(
                f"ok    {finding.check}" if finding.problem is None else f"FAIL  {finding.check}: {finding.problem}"
            )
    if any(finding.problem for finding in findings):
        raise typer.Exit(1)


def _catalogue(kind: str, files: Sequence[Path] = ()) -> Catalogue:
    """The plugins of a kind, whose name is in the singular."""
    from harness.registry.catalogue import KINDS, discover

    nouns = [each.noun for each in KINDS.values()]
    if kind not in nouns:
        raise UnknownName("kind", kind, nouns)
    return discover(f"{kind}s", files)

"""Checks that a plugin keeps its contract. Their messages are written for the plugin's author.

``harness check KIND NAME`` runs them on one plugin; the project's tests run them on every registered plugin.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import HarnessError, PluginError, SettingError
from harness.plugin.publication import formula_of, publications_of
from harness.plugin.settings import Plugin
from harness.registry.catalogue import discover
from harness.registry.faults import place_of

ContractCheck = Callable[[Any], None]
"""Takes a plugin made with its default settings; raises Violation if the plugin breaks the contract."""


class Violation(HarnessError):
    """A broken contract: what the plugin did, and what it must do."""


@dataclass(frozen=True)
class Checked:
    """One check's result; ``problem`` is None where the plugin passed."""

    check: str
    problem: str | None


def checks(kind: str) -> dict[str, ContractCheck]:
    """The checks of a kind (``method``, ``attack``, ``network``, ``dataset``, ``wrapper``), keyed by the rule."""
    found: dict[str, ContractCheck] = importlib.import_module(f"harness.conformance.{kind}").CHECKS
    return found | {"its formula and its BibTeX can be printed": _source}


def _source(plugin: Plugin) -> None:
    try:
        formula_of(type(plugin))
        publications_of(type(plugin))
    except SettingError as error:
        raise Violation(str(error)) from None


def load_plugin(kind: str, name: str, files: tuple[Path, ...] = (), **values: Any) -> Plugin:
    """Make a plugin with its default settings; ``values`` set those without a default."""
    return discover(f"{kind}s", files).get(name).from_mapping(values)


def run_checks(kind: str, plugin: Plugin) -> Iterator[Checked]:
    """Run every check of the kind; an exception that the plugin raises fails the check."""
    for name, check in checks(kind).items():
        try:
            check(plugin)
        except (Violation, PluginError) as violation:
            yield Checked(name, str(violation))
        except (Exception, SystemExit) as error:  # a plugin may raise anything
            text = f"it raised {type(error).__name__}: {' '.join(str(error).split())}"
            yield Checked(name, text + place_of(error, plugin))
        else:
            yield Checked(name, None)


def require(holds: bool, problem: str) -> None:
    """Raise Violation with this problem unless the condition holds."""
    if not holds:
        raise Violation(problem)

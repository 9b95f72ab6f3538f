"""The contracts as checks: what every plugin must do, in words that its author understands.

``harness check KIND NAME`` runs them on one plugin; the project's own tests run them on everything registered.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import HarnessError, PluginError
from harness.plugin.settings import Plugin
from harness.registry.catalogue import KINDS, discover
from harness.registry.faults import place_of

ContractCheck = Callable[[Any], None]
"""Takes a plugin, made with its defaults; raises Violation where it breaks the contract."""


class Violation(HarnessError):
    """A broken contract: what the plugin did, and what it must do."""


@dataclass(frozen=True)
class Checked:
    """One check's result; ``problem`` is None where the plugin passed."""

    check: str
    problem: str | None


def checks(kind: str) -> dict[str, ContractCheck]:
    """The checks of a kind (``method``, ``attack``, ``network``, ``dataset``, ``wrapper``), by what they ask for."""
    module = importlib.import_module(f"harness.conformance.{kind}")
    found: dict[str, ContractCheck] = module.CHECKS
    return found


def load_plugin(kind: str, name: str, files: tuple[Path, ...] = (), **values: Any) -> Plugin:
    """A plugin made with its defaults, and with the given values for those that it lacks."""
    return discover(f"{kind}s", files).get(name).from_mapping(values)


def run_checks(kind: str, plugin: Plugin) -> Iterator[Checked]:
    """Run every check of the kind; an exception of the plugin's own is a finding too."""
    for name, check in checks(kind).items():
        try:
            check(plugin)
        except (Violation, PluginError) as violation:
            yield Checked(name, str(violation))
        except (Exception, SystemExit) as error:  # a stranger's code may raise anything
            text = f"it raised {type(error).__name__}: {' '.join(str(error).split())}"
            yield Checked(name, text + place_of(error, plugin))
        else:
            yield Checked(name, None)


def kinds() -> list[str]:
    """The kinds that have contracts: those of the registry, in the singular."""
    return [spec.noun for spec in KINDS.values()]


def require(holds: bool, problem: str) -> None:
    """Raise the violation unless the condition holds."""
    if not holds:
        raise Violation(problem)

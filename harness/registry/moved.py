"""Names the new module in the error for code that imports a module by an old name."""

from __future__ import annotations

import sys

_FOLDERS = {
    "plugin": ("settings", "threat", "adversary", "method", "attack", "network", "dataset", "wrapper", "state"),
    "registry": ("importing", "import_names", "source", "shipped", "faults", "loading"),
    "runtime": ("device", "seeds", "process", "isolation", "provenance"),
    "planning": ("assessment", "overrides", "cost"),
}
NOW = {
    **{f"harness.{name}": f"harness.{folder}.{name}" for folder, names in _FOLDERS.items() for name in names},
    "harness.streams": "harness.runtime.seeds",
    "harness.modes": "harness.runtime.process",
    "methods": "harness.methods",
    "attacks": "harness.attacks",
    "harness.contracts": "harness.conformance",
    "harness.plugins": "harness.registry.catalogue",
    "harness.protocol": "harness.protocols.protocol",
    "harness.spec": "harness.protocols.run_spec",
    "harness.parts": "harness.training.run_plugins",
    "harness.job": "harness.planning.run_job",
    "harness.evaluate": "harness.planning.evaluate_job",
    "harness.plan": "harness.planning.missing",
    "harness.own_target": "harness.planning.own_runs",
    "harness.weights": "harness.targets.model",
    "harness.evaluation": "harness.evaluator, harness.statistics, and harness.planning",
}
"""Old name -> new name."""


class _Moved:
    """The last import finder that Python asks. It finds no module; for an old name its error states the new one."""

    @staticmethod
    def find_spec(name: str, *_path_and_target: object) -> None:
        if name in NOW:
            raise ModuleNotFoundError(f"{name} is now {NOW[name]}: change the import", name=name)


def tell_of_moved_modules() -> None:
    """Make the error for the import of an old name state the new name."""
    sys.meta_path.append(_Moved)

"""Find the training method that gives the most robust network: one protocol, every seed, the uncertainty shown.

The names of ``__all__`` are the Python interface: ``docs/api.md`` describes them. Each is imported at its first use.
"""

from typing import TYPE_CHECKING, Any

from harness.registry.moved import tell_of_moved_modules

if TYPE_CHECKING:
    from harness.api.contents import TableColumn as TableColumn
    from harness.api.evaluate import evaluate as evaluate
    from harness.api.evaluation_report import EvaluationReport as EvaluationReport
    from harness.api.results import Results as Results
    from harness.api.results import open as open
    from harness.api.run import RunFailed as RunFailed
    from harness.api.run import RunReport as RunReport
    from harness.api.run import run as run
    from harness.api.table import Table as Table
    from harness.api.tune import TuneReport as TuneReport
    from harness.api.tune import tune as tune
    from harness.errors import HarnessError as HarnessError
    from harness.errors import ModelFault as ModelFault
    from harness.trackers.tracker import Tracker as Tracker

__version__ = "0.1.0"

_PLACES = {
    "EvaluationReport": "harness.api.evaluation_report",
    "HarnessError": "harness.errors",
    "ModelFault": "harness.errors",
    "RunFailed": "harness.api.run",
    "RunReport": "harness.api.run",
    "Results": "harness.api.results",
    "Table": "harness.api.table",
    "TableColumn": "harness.api.contents",
    "Tracker": "harness.trackers.tracker",
    "evaluate": "harness.api.evaluate",
    "open": "harness.api.results",
    "run": "harness.api.run",
    "TuneReport": "harness.api.tune",
    "tune": "harness.api.tune",
}
__all__ = [
    *("EvaluationReport", "HarnessError", "ModelFault", "Results", "RunFailed", "RunReport", "Table", "TableColumn"),
    *("Tracker", "TuneReport", "evaluate", "open", "run", "tune"),
]

tell_of_moved_modules()


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'harness' has no attribute {name!r}", name=name)
    from importlib import import_module

    return getattr(import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

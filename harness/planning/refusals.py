"""What ``harness evaluate`` refuses from the request alone, before it opens or loads anything."""

from __future__ import annotations

from harness.errors import SettingError
from harness.planning.overrides import network_values
from harness.planning.request import EvaluateRequest
from harness.plugin.dataset import DataSource
from harness.targets.open import TARGET_KINDS
from harness.targets.zoo import is_here


def refuse_contradictions(request: EvaluateRequest) -> None:
    """Refuse options that exclude each other, and impossible names."""
    if not request.target.strip():
        raise SettingError(f"TARGET {request.target!r} is refused: name a run's number, {TARGET_KINDS}")
    if request.name is not None and (request.name.isdecimal() or not request.name.strip()):
        raise SettingError(f"--name {request.name!r} is refused: a number is a run's; give a name with a letter")
    if request.sweep is not None and request.epsilon is not None:
        raise SettingError("--epsilon and --sweep exclude each other: a sweep names its own radii; leave one out")


def refuse_downloads(request: EvaluateRequest, source: DataSource) -> None:
    """Refuse a dry run that needs a download, since it must write nothing."""
    missing = [f"the images of {source.name}"] if source.outline and not source.here(request.data_dir) else []
    missing += [] if is_here(request.target, source.name, request.data_dir) else [f"the weights of {request.target}"]
    if missing:
        raise SettingError(
            f"--dry-run is refused: {' and '.join(missing)} must be downloaded first, and --dry-run downloads"
            " nothing; run the command once without it"
        )


def refuse_choices_of_a_run(request: EvaluateRequest) -> None:
    """Refuse options about a model if the target is a run, which has its own network and normalisation."""
    chosen: dict[str, object] = {"--arch": request.network, "--name": request.name, "--protocol": request.protocol}
    chosen |= {f"--set network.{key}": value for key, value in network_values(request.values).items()}
    chosen |= {f"--{name}": value for name, value in request.preprocessing.departures().items()}
    chosen |= {"--no-normalisation": True if request.no_normalisation else None}
    for option, value in chosen.items():
        if value is not None:
            raise SettingError(f"{option} is refused: {request.target} is a run, which has its own; leave it out")

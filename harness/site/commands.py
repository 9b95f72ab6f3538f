"""The command that trains a stored run again: the same identity, attacked under the same protocol."""

from __future__ import annotations

import math
import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from harness.errors import HarnessError
from harness.plugin.settings import Settings
from harness.protocols.evaluation_protocol import EvaluationProtocol
from harness.protocols.protocol import load_protocol, protocol_names
from harness.protocols.run_spec import TRIAL_SEED
from harness.protocols.train_protocol import TrainProtocol
from harness.registry.shipped import manifest, version_text
from harness.store.records import EvaluationRecord, ProtocolRecord, RunRecord

FALLBACK = "paper"  # the protocol to which the differences are written, where a run's own does not ship


@dataclass(frozen=True)
class Reproduction:
    """A command, and what must hold so that it makes the same run; ``remarks`` is empty where nothing is needed."""

    command: str
    remarks: tuple[str, ...]


def reproduction(run: RunRecord, protocols: Sequence[ProtocolRecord]) -> Reproduction:
    """The command that trains the run again and attacks it under its protocol; empty for a trial of a tuning.

    Training seeds are counted from 0, so the command trains the seeds before the run's own, too, where the store lacks
    them.
    """
    if run.train_seed == TRIAL_SEED:
        return Reproduction("", ("it is a trial of harness tune, and was not attacked; no other command makes it",))
    evaluations = [e for checkpoint in run.checkpoints for e in checkpoint.evaluations if e.complete]
    words = ["harness", "run", run.method, "--dataset", _dataset(run), "--arch", run.network]
    words += ["--train-seeds", str(run.train_seed + 1)]
    seeds = max((e.seed + 1 for e in evaluations), default=1)
    words += ["--seeds", str(seeds)]
    samples = {e.images for e in evaluations}
    if len(samples) == 1 and next(iter(samples)).sample == "balanced":
        words += ["--limit", str(next(iter(samples)).count)]
    name, values = _protocol(run, _of_run(run, evaluations, protocols))
    words += ["--protocol", name]
    theirs = _shipped(name).get("wrappers", {})
    for wrapper in run.wrappers:
        words += ["--wrap", wrapper["name"]] if wrapper["name"] not in theirs else []
    for key, value in (values | dict(_plugin_values(run, theirs))).items():
        words += ["--set", f"{key}={_text(value)}"]
    for file in _files(run):
        words += ["--plugin", file]
    return Reproduction(shlex.join(words), tuple(_remarks(run, evaluations)))


def _dataset(run: RunRecord) -> str:
    kind, colon, _ = run.dataset.name.partition(":")
    return f"{kind}:PATH" if colon else kind


def _of_run(
    run: RunRecord, evaluations: Sequence[EvaluationRecord], protocols: Sequence[ProtocolRecord]
) -> ProtocolRecord | None:
    """The protocol with the run's training that most of its evaluations belong to; of equals the newest."""
    made = {(e.attack, e.settings_sha256) for e in evaluations}
    fitting = [p for p in protocols if p.trains(run.training_sha256, run.wrappers)]
    return max(reversed(fitting), key=lambda p: len(made & set(p.attacks.items())), default=None)


def _protocol(run: RunRecord, record: ProtocolRecord | None) -> tuple[str, dict[str, Any]]:
    """A protocol that ships, and the settings in which the run's own differs from it."""
    name = record.name if record is not None and _fits(record.name, run) else FALLBACK
    ours = _shipped(name)
    training = {key: value for key, value in run.training.items() if key != "epsilon"}
    theirs = {} if record is None else record.document
    epsilon = run.training.get("epsilon", ours["epsilon"])
    norms = [training.get("norm"), ours["train"].get("norm")]  # a norm is said with its radius
    values: dict[str, Any] = {} if epsilon == ours["epsilon"] and norms[0] == norms[1] else {"epsilon": epsilon}
    values |= _differing("train", ours["train"], training, _defaults(TrainProtocol))
    if evaluation := theirs.get("evaluation", {}):
        values |= _differing("evaluation", ours["evaluation"], evaluation, _defaults(EvaluationProtocol))
    for wrapper, before in ours.get("wrappers", {}).items():
        settings = next(one["settings"] for one in run.wrappers if one["name"] == wrapper)
        values |= _differing(wrapper, before, settings, defaults("wrappers", wrapper))
    for attack, settings in theirs.get("attacks", {}).items():
        values |= _differing(attack, defaults("attacks", attack) | ours["attacks"].get(attack, {}), settings)
    return name, values


def _fits(name: str, run: RunRecord) -> bool:
    """Whether a protocol of this name ships, and its wrappers are the run's innermost."""
    theirs = list(_shipped(name).get("wrappers", {})) if name in protocol_names() else None
    return theirs is not None and [wrapper["name"] for wrapper in run.wrappers][: len(theirs)] == theirs


@cache
def _shipped(name: str) -> dict[str, Any]:
    return load_protocol(name).document()


def _differing(
    table: str, ours: Mapping[str, Any], theirs: Mapping[str, Any], missing: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """What must be set so that ours becomes theirs.

    Args:
        missing: the defaults, which either side may leave out.
    """
    before, after = ({**(missing or {}), **side} for side in (ours, theirs))
    return {f"{table}.{key}": value for key, value in after.items() if before.get(key) != value}


def _plugin_values(run: RunRecord, theirs: Collection[str]) -> Iterator[tuple[str, Any]]:
    """The settings of the run's plugins that differ from today's defaults, each with its plugin's name.

    Args:
        theirs: the protocol's wrappers, whose settings are the protocol's.
    """
    plugins = [("methods", run.method, run.method_settings), ("networks", run.network, run.network_settings)]
    typed = [wrapper for wrapper in run.wrappers if wrapper["name"] not in theirs]
    for kind, name, settings in [*plugins, *(("wrappers", w["name"], w["settings"]) for w in typed)]:
        yield from _differing(name, defaults(kind, name), settings).items()


@cache
def defaults(kind: str, name: str) -> dict[str, Any]:
    """Today's defaults of a plugin's settings, in JSON types; empty where there is no such plugin here."""
    from harness.registry.catalogue import discover

    try:
        infos = discover(kind).get(name).describe()
    except HarnessError:
        return {}
    return {info.name: _plain(info.default) for info in infos if not info.required}


def _defaults(cls: type[Settings]) -> dict[str, Any]:
    return {info.name: _plain(info.default) for info in cls.describe() if not info.required}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, float) and math.isinf(value) else value


def _text(value: Any) -> str:
    """A value as ``--set`` reads it."""
    if isinstance(value, (list, tuple)):
        return ",".join(map(_text, value))
    return "none" if value is None else str(value)


def _files(run: RunRecord) -> list[str]:
    """The files of plugins that do not ship; of each plugin the file that stands first."""
    sources: Mapping[str, Mapping[str, str]] = run.provenance.get("sources", {})
    return list(dict.fromkeys(next(iter(files)) for files in sources.values() if files))


def _remarks(run: RunRecord, evaluations: Sequence[EvaluationRecord]) -> Iterator[str]:
    kind, colon, label = run.dataset.name.partition(":")
    if colon:
        yield (
            f"PATH is the {kind} that was called {label}; the options by which it was read are not stored: its images"
            f" must have the fingerprint {run.dataset.fingerprint[:8]}"
        )
    for part, code in run.code.items():
        if part in run.provenance.get("sources", {}):
            yield f"the {part} must be the code {code[:12]}"
    for part, name in (("method", run.method), ("network", run.network)):
        known = manifest()[f"{part}s"].get(name)
        now = version_text(known["version"]) if known is not None else None
        if part not in run.provenance.get("sources", {}) and run.code.get(part, "") != now:
            then = run.code.get(part, "") or "version 1"
            yield f"the {part} {name} was {then}; today's is {now or 'version 1' if known else 'not here'}"
    if any(e.sample == "first" and e.examples < run.dataset.test_examples for e in evaluations):
        yield "some attacks were made on the first test images, which no option chooses any more"

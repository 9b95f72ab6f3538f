"""A run, or a model from elsewhere, as text: its facts, the code that made it, curves, evaluations, and findings.

Whether that code has changed since is read from the files; they are never imported.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from harness.cli.setting_text import setting_text
from harness.cli.visible_records import visible_in
from harness.errors import visible
from harness.plugin.ball import radius_text
from harness.registry.shipped import manifest, version_text
from harness.registry.source import content
from harness.runtime.provenance import every_place
from harness.store.records import CheckpointRecord, EvaluationRecord, ModelRecord, RunRecord
from harness.store.run_state import RunState
from harness.store.validated import chosen_by

BARS = "▁▂▃▄▅▆▇█"


def parts_of_run(
    run: RunRecord,
    state: RunState,
    history: Sequence[RunState],
    recorded: Iterable[RenderableType],
    named: Mapping[str, str],
) -> Iterator[RenderableType]:
    """Everything about a run: its facts, epoch curves, what was recorded, evaluations, and findings.

    Args:
        history: what was recorded of the run's states; shown if the training did not go through at once.
        named: setting -> the trained network that it names.
    """
    code = [visible(line) for line in _code_of_run(run)]  # its files have the paths that the store has
    run, state, history = visible_in(run), visible_in(state), visible_in(list(history))
    interrupted = any(one.state in ("cancelled", "lost", "preempted") for one in history)
    yield _facts(
        {
            "run": f"{run.id} (attempt {run.attempt}, identity {run.identity[:12]})",
            "status": state.text,
            **({"before": "\n".join(one.text for one in history)} if interrupted else {}),
            "method": f"{run.method}  {_settings(run.method_settings)}",
            **{visible(name): visible(text) for name, text in named.items()},
            "network": _network(run),
            "dataset": _dataset(run),
            "training": _settings(run.training),
            "train seed": str(run.train_seed),
            "started": f"{run.created_utc:%Y-%m-%d %H:%M:%S} UTC",
            "code": "\n".join(code),
            "provenance": "\n".join(map(_settings, every_place(run.provenance))),
            "folder": run.folder,
            **_remarks(run),
        }
    )
    if run.epochs:
        series = {"loss": [epoch.loss for epoch in run.epochs]}
        for name in run.epochs[-1].diagnostics:
            series[name] = [epoch.diagnostics[name] for epoch in run.epochs if name in epoch.diagnostics]
        yield Text(f"\nepochs 1 to {run.epochs[-1].epoch}", style="bold")
        for name, values in series.items():
            yield Text(f"  {name:<16} {curve(values)}  {values[0]:.4g} to {values[-1]:.4g}")
    if (best := chosen_by(run)) is not None:
        figures = f"{best.robust_percent:.2f} % robust, {best.natural_percent:.2f} % natural"
        yield Text(
            f"\nbest after epoch {best.epoch}: {figures} on"
            f" {best.images:,} training images held out; the same images chose it, so these figures are too high"
        )
    yield from recorded
    yield from _checkpoints(run.checkpoints)


def parts_of_model(model: ModelRecord) -> Iterator[RenderableType]:
    """Everything about a model from elsewhere."""
    code = [visible(line) for line in _code_of_model(model)]
    model = visible_in(model)
    yield _facts(
        {
            "model": f"{model.name} (not trained by harness)",
            "network": _network(model),
            "dataset": _dataset(model),
            "entered": f"{model.created_utc:%Y-%m-%d %H:%M:%S} UTC",
            "code": "\n".join(code) or "none of the user's",
            "normalisation": str(model.provenance.get("normalisation", "none put inside")),
            "provenance": _settings(model.provenance),
            **_remarks(model),
        }
    )
    yield from _checkpoints([model.checkpoint])


def protocol_lines(protocol: Mapping[str, Any]) -> Iterator[str]:
    """A protocol that was used: its runs, and its settings."""
    runs = ", ".join(map(str, protocol["runs"])) or "none"
    yield f"{protocol['name']} [{protocol['fingerprint'][:8]}], used; runs: {runs}"
    yield f"  attacks: {', '.join(protocol['attacks'])}"
    for key, value in protocol["document"].items():
        inner = value if isinstance(value, dict) else {"": value}
        yield from (f"  {key}{'.' if name else ''}{name} = {setting_text(name or key, v)}" for name, v in inner.items())


def _remarks(record: RunRecord | ModelRecord) -> dict[str, str]:
    """The note and the tags, as far as there are any."""
    return {key: text for key, text in (("note", record.note), ("tags", ", ".join(record.tags))) if text}


def _facts(facts: dict[str, str]) -> RenderableType:
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, text in facts.items():
        table.add_row(Text(name, style="bold"), Text(text))
    return table


def _checkpoints(checkpoints: Sequence[CheckpointRecord]) -> Iterator[RenderableType]:
    """Every evaluation, the warnings of its attack, and the findings of every examination."""
    table = Table("checkpoint", "attack", "settings", "seed", "correct", "of", "%", "seconds", title="evaluations")
    every = [e for checkpoint in checkpoints for e in checkpoint.evaluations]
    warned = []
    for checkpoint in checkpoints:
        place = checkpoint.name + (f" ({checkpoint.epoch})" if checkpoint.epoch is not None else "")
        for e in checkpoint.evaluations:
            state = f"{e.percent:.2f}" if e.complete else f"{e.done}/{e.examples} done"
            counts = (str(e.seed), str(e.correct), str(e.examples), state, f"{e.duration_s:.1f}")
            table.add_row(place, e.attack, _settings(_telling(e, every)), *counts)
            warned += [f"  {e.attack}, seed {e.seed}, {checkpoint.name}: {text}" for text in e.warnings]
    if table.row_count:
        yield table
    if warned:
        yield Text("\nwarnings of the attacks", style="bold")
        yield from map(Text, warned)
    for checkpoint in checkpoints:
        for examination in checkpoint.examinations:
            settings = examination.settings
            norm = f" ({settings['norm']})" if "norm" in settings else ""
            where = f"epsilon {radius_text(settings['epsilon'])}{norm}, {settings['examples']} images"
            yield Text(f"\nchecks of the {settings['kind']}, {checkpoint.name}, {where}", style="bold")
            for finding in examination.findings:
                beyond = "" if finding.threshold is None else f" (flagged beyond {finding.threshold:g})"
                yield Text(f"  {finding.mark or ' '} {finding.check}: {finding.reason}{beyond}")


def _telling(evaluation: EvaluationRecord, every: Sequence[EvaluationRecord]) -> dict[str, Any]:
    """The ball, and the settings that differ between evaluations by the same attack."""
    alike = [other.settings for other in every if other.attack == evaluation.attack]
    return {
        key: value
        for key, value in evaluation.settings.items()
        if key in ("epsilon", "norm") or any(other.get(key) != value for other in alike)
    }


def _network(record: RunRecord | ModelRecord) -> str:
    return f"{record.network}  {_settings(record.network_settings)}  {record.parameters:,} parameters"


def _dataset(record: RunRecord | ModelRecord) -> str:
    data = record.dataset
    return f"{data.name}  {data.train_examples:,} / {data.test_examples:,} images  [{data.fingerprint[:8]}]"


def _settings(values: dict[str, Any]) -> str:
    return " ".join(f"{key}={setting_text(key, value)}" for key, value in values.items())


def curve(values: list[float]) -> str:
    """A small chart, one bar a value, from the least to the greatest; ``?`` where a value is not finite."""
    finite = [value for value in values if math.isfinite(value)] or [0.0]
    low, high = min(finite), max(finite)
    scale = (len(BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(BARS[round((value - low) * scale)] if math.isfinite(value) else "?" for value in values)


def _code_of_run(run: RunRecord) -> Iterator[str]:
    """One line for all parts that ship with harness, one for each other part, and one for each changed part."""
    names = {"method": run.method, "network": run.network}
    sources = run.provenance.get("sources", {})
    shipped = [f"{part} {name}" for part, name in names.items() if part not in run.code]
    if shipped:
        yield f"{', '.join(shipped)}: as shipped with harness {run.provenance.get('harness', '(unknown)')}"
    for part, code in run.code.items():
        head = f"{part} {names[part]}" if part in names else part
        files = sources.get(part)
        yield f"{head}: {code[:12]}; {_today(files)}" if files else f"{head}: {code}"
    for part, name in names.items():
        known = manifest()[f"{part}s"].get(name)
        now = version_text(known["version"]) if known is not None else ""
        if known is not None and run.code.get(part, "") != now and not sources.get(part):
            yield f"today's {part} {name} differs: it is {now or 'version 1'}"


def _code_of_model(model: ModelRecord) -> Iterator[str]:
    """The user's code that made a model from elsewhere; nothing for a weights file."""
    if model.code:
        yield f"{model.provenance.get('source_sha256', '')[:12]}; {_today(model.code)}"


def _today(files: Mapping[str, str]) -> str:
    """Compare the files that made a result with those on this disk."""
    gone = [file for file in files if not Path(file).is_file()]
    if gone:
        return f"not on this disk: {', '.join(gone)}"
    edited = [file for file, sha256 in files.items() if hashlib.sha256(content(Path(file))).hexdigest() != sha256]
    return f"today's differs in {', '.join(edited)}" if edited else f"today's is the same: {', '.join(files)}"

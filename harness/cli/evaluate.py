"""``harness evaluate``: attack any model, and show what is left of it."""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from harness.cli.options import (
    AsJson,
    ChannelCount,
    Checks,
    ClassOrder,
    DataDir,
    Db,
    Device,
    Fresh,
    ImageSize,
    Limit,
    Plugins,
    ProtocolName,
    RunsDir,
    Seeds,
    SetValues,
    Workers,
)
from harness.cli.run import check_places, print_times, tell_notes
from harness.errors import SettingError

if TYPE_CHECKING:
    from harness.execution.summary import Summary
    from harness.planning.evaluate_request import EvaluateJob
    from harness.store.records import ModelRecord
    from harness.store.store import Store

TOLD = {
    "normalisation": "normalisation",
    "left_out": "left out of the model, as no part of the network",
    "other_state_dicts": "other state dicts in the file, each FILE:KEY",
    "other_tensors": "other tensors in the file, no part of the model",
    "minus_infinity": "logits of -inf",
    "own_types": "floating types",
    "outputs": "outputs",
}
"""What of a model's provenance is told before it is attacked, and in which words."""

Channels = Annotated[
    str | None, typer.Option(metavar="C,C,C", help="Put (x - mean) / std inside the model; pixels are in [0, 1].")
]


def evaluate(
    target: Annotated[
        str,
        typer.Argument(
            metavar="TARGET",
            help="A run's number (12, 12:early), a weights file, module:factory, or robustbench:NAME.",
        ),
    ],
    attacks: Annotated[
        str | None, typer.Option(metavar="A,B", help="The attacks. [default: the protocol's]", show_default=False)
    ] = None,
    seeds: Seeds = 5,
    dataset: Annotated[
        str | None, typer.Option(help="The data set: a name, or folder:PATH. [default: the run's, or cifar10]")
    ] = None,
    image_size: ImageSize = None,
    class_order: ClassOrder = None,
    channels: ChannelCount = None,
    arch: Annotated[
        str | None, typer.Option(help="The network of a weights file. [default: recognised by its tensors]")
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="LABEL", help="What the leaderboard calls a model from elsewhere.")
    ] = None,
    protocol: ProtocolName = None,
    epsilon: Annotated[
        str | None, typer.Option(metavar="E", help="Radius of the ball, such as 4/255. [default: the protocol's]")
    ] = None,
    sweep: Annotated[
        str | None,
        typer.Option(metavar="0,2,4,...", help="Robust accuracy against the radius, in 1/255."),
    ] = None,
    values: SetValues = None,
    mean: Channels = None,
    std: Channels = None,
    no_normalisation: Annotated[
        bool, typer.Option("--no-normalisation", help="A weights file's network takes pixels in [0, 1] as they are.")
    ] = False,
    outputs: Annotated[
        Literal["logits", "probabilities", "binary-logit", "binary-probability"],
        typer.Option(help="What the model returns; logits are made of it."),
    ] = "logits",
    limit: Limit = None,
    checks: Checks = True,
    fresh: Fresh = False,
    device: Device = None,
    workers: Workers = None,
    runs_dir: RunsDir = Path("runs"),
    data_dir: DataDir = Path("data"),
    db: Db = None,
    as_json: AsJson = False,
    plugin: Plugins = None,
) -> None:
    """Attack TARGET, a run or any model, keep the verdict of every example, and show the figures."""
    started = time.perf_counter()
    check_places(db, runs_dir, workers, writing=True)
    from harness.execution.conduct import default_workers
    from harness.execution.evaluating import conduct_evaluation
    from harness.planning.evaluate_request import EvaluateRequest, resolve_evaluate
    from harness.store.store import Store
    from harness.targets.preprocessing import Preprocessing
    from harness.targets.target import quiet

    request = EvaluateRequest(
        target=target,
        attacks=None if attacks is None else _listed(attacks, "--attacks"),
        seeds=seeds,
        dataset=dataset,
        image_size=image_size,
        class_order=class_order,
        channels=channels,
        network=arch,
        name=name,
        protocol=protocol,
        epsilon=epsilon,
        sweep=None if sweep is None else _radii(sweep),
        values=tuple(values or ()),
        preprocessing=Preprocessing.from_mapping(
            {k: v for k, v in (("mean", mean), ("std", std), ("outputs", outputs)) if v is not None}
        ),
        no_normalisation=no_normalisation,
        limit=limit,
        checks=checks,
        fresh=fresh,
        device=device,
        data_dir=data_dir,
        runs_dir=runs_dir,
        plugins=tuple(plugin or ()),
    )
    store = Store.read(db)
    with quiet():
        evaluation = resolve_evaluate(request, store)
    store.close()
    from harness.cli.progress import Watch

    store = Store.write(db)
    count = workers or default_workers(evaluation.assessment)

    def entered() -> None:  # what could be refused was not
        tell_notes(evaluation.assessment.dataset)
        _tell_model(evaluation)

    with Watch() as watch:
        summary, model = conduct_evaluation(evaluation, store, runs_dir, watch, count, entered)
    _print(evaluation, model, store, summary, as_json)
    store.close()
    print_times(summary, time.perf_counter() - started)


def _tell_model(evaluation: EvaluateJob) -> None:
    """Say on standard error what was put inside a model from elsewhere, and what of its file was left out."""
    provenance = evaluation.opened.provenance if evaluation.opened is not None else {}
    for key, words in TOLD.items():
        if key in provenance:
            value = provenance[key]
            print(f"{words}: {', '.join(value) if isinstance(value, list) else value}", file=sys.stderr)


def _print(evaluation: EvaluateJob, model: ModelRecord | None, store: Store, summary: Summary, as_json: bool) -> None:
    from harness.cli.origin import origin, repeated
    from harness.cli.report_text import report_lines, sweep_lines
    from harness.execution.evaluating import checkpoint_of
    from harness.planning.report import evaluations_of, report, report_document

    documents, shown = [], []
    for weights in evaluation.weights:
        checkpoint = store.checkpoint(checkpoint_of(evaluation, model, weights).id)
        verdicts = store.verdicts_of([e.id for e in checkpoint.evaluations if e.complete])
        label = (
            model.name if model is not None else f"run {evaluation.run.id if evaluation.run else ''}, {weights.label}"
        )
        assessments = evaluation.sweep or (evaluation.assessment,)
        shown += [e for each in assessments for held in evaluations_of(checkpoint, each).values() for e in held]
        reports = [report(label, checkpoint, each, verdicts) for each in assessments]
        documents += [report_document(each) for each in reports]
        if not as_json:
            print("\n".join(sweep_lines(reports) if evaluation.sweep else report_lines(reports[0])))
    if as_json:
        print(json.dumps({"dataset": evaluation.assessment.dataset.name, "reports": documents}, indent=2))
    again = [e for e in shown if e.id in summary.attacked]
    for told in (origin(shown, summary.attacked), repeated(again, store)):
        if told is not None:
            print(told, file=sys.stderr if as_json else sys.stdout)


def _listed(text: str, option: str) -> tuple[str, ...]:
    parts = tuple(part.strip() for part in text.split(",") if part.strip())
    if not parts:
        raise SettingError(f"{option} {text!r} is refused: name at least one, such as {option} pgd,cw")
    return parts


def _radii(text: str) -> tuple[float, ...]:
    """The radii of a sweep, in 1/255."""
    parts = _listed(text, "--sweep")
    for part in parts:
        if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", part) or float(part) > 255:
            raise SettingError(
                f"--sweep {text} is refused: {part!r} is no radius; give numbers from 0 to 255, in units of 1/255"
            )
    return tuple(dict.fromkeys(float(part) for part in parts))

"""``harness evaluate``: attack any model, and show its accuracy under each attack."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

from harness.cli import completion
from harness.cli.common import end, followers, workplace
from harness.cli.console import print_json, print_line, print_lines
from harness.cli.grouped import grouped, request_of
from harness.cli.options import (
    Extent,
    ImageFolder,
    Output,
    Rules,
    argument,
    comma_separated,
    of_protocol,
    option,
    what,
)
from harness.cli.places import Places
from harness.cli.signals import stoppable
from harness.errors import SettingError
from harness.plugin.ball import BALLS

if TYPE_CHECKING:
    from harness.api.evaluating import Evaluated
    from harness.planning.evaluate_job import EvaluateJob

NOTED = {
    "normalisation": "normalisation",
    "left_out": "left out of the model, as no part of the network",
    "other_state_dicts": "other state dicts in the file, each FILE:KEY",
    "other_tensors": "other tensors in the file, no part of the model",
    "minus_infinity": "logits of -inf",
    "own_types": "floating types",
    "outputs": "outputs",
}
"""Entries of a model's provenance to print before the attacks, and the words for each."""

of_model = partial(option, "How the model is read")


@dataclass(frozen=True, kw_only=True)
class Attacks:
    """The attacks to run, and the radius of their ball."""

    epsilon: str | None = of_protocol(
        "--epsilon E",
        "Attack in a ball of this radius, such as 4/255. Short for --set evaluation.epsilon=E.",
        shown="the protocol's",
    )
    norm: str | None = of_protocol(
        "--norm NORM",
        f"Attack in a ball of this norm, {' or '.join(BALLS)}. Short for --set evaluation.norm=NORM.",
        shown="the protocol's",
        complete=completion.words(*BALLS),
    )
    attacks: str | None = of_protocol(
        "--attacks A,B",
        "Run natural accuracy and these attacks, even if the protocol lacks them; the protocol does not change.",
        shown="the protocol's",
        complete=completion.attack_list,
    )
    sweep: str | None = of_protocol(
        "--sweep 0,2,4,...", "Show robust accuracy at each of these radii, in units of 1/255."
    )


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How the model is read."""

    network: str | None = of_model(
        "--arch NAME", "The network of a weights file.", shown="recognised by its tensors", complete=completion.networks
    )
    name: str | None = of_model("--name LABEL", "The leaderboard's name for a model that harness did not train.")
    mean: str | None = of_model(
        "--mean C,C,C", "Mean of each channel, for pixels in [0, 1]: the network gets (x - mean) / std."
    )
    std: str | None = of_model("--std C,C,C", "Standard deviation of each channel: the network gets (x - mean) / std.")
    no_normalisation: bool = of_model(
        "--no-normalisation", "The network of a weights file takes pixels in [0, 1] without normalisation.", False
    )
    outputs: Literal["logits", "probabilities", "binary-logit", "binary-probability"] = of_model(
        "--outputs KIND",
        "What the model returns: logits, probabilities, binary-logit, or binary-probability.",
        "logits",
    )


@grouped
def evaluate(
    target: Annotated[
        str,
        argument(
            "TARGET", "A run's number (12, 12:early), a weights file, code as module:factory, or robustbench:NAME."
        ),
    ],
    *,
    dataset: str | None = what(
        "--dataset NAME",
        "The data set: a name, folder:PATH, or npz:FILE.",
        shown="the run's, or cifar10",
        complete=completion.datasets,
    ),
    folder: ImageFolder,
    extent: Extent,
    rules: Rules,
    attacks: Attacks,
    reading: Reading,
    places: Places,
    output: Output,
) -> None:
    """Attack TARGET, a run or any other model; store the verdict on each image; show the accuracy under each attack."""
    started = time.perf_counter()
    place = workplace(places)
    place.check(writing=not extent.dry_run)
    trackers = followers(places)
    from harness.api.evaluating import evaluate_target
    from harness.api.progress import Watch
    from harness.api.running import note_dataset, note_times
    from harness.api.tracked import tracked
    from harness.cli.plan_text import print_plan
    from harness.planning.evaluate_job import resolve_evaluate
    from harness.planning.missing import find_missing_of_target
    from harness.planning.request import EvaluateRequest
    from harness.store.store import Store
    from harness.targets.preprocessing import Preprocessing
    from harness.targets.target import quiet

    request = request_of(
        EvaluateRequest,
        *(folder, extent, rules, attacks, reading, places),
        target=target,
        dataset=dataset,
        attacks=comma_separated("--attacks", attacks.attacks),
        device=place.planned_on,
        elsewhere=place.elsewhere,
        sweep=None if attacks.sweep is None else _radii(attacks.sweep),
        preprocessing=Preprocessing.from_mapping(
            {name: value for name in ("mean", "std", "outputs") if (value := getattr(reading, name)) is not None}
        ),
    )
    store = Store.read(places.db)
    with quiet():
        evaluation = resolve_evaluate(request, store, count_only=extent.dry_run)
    where = place.placement(evaluation.assessment)
    if extent.dry_run:
        note_dataset(evaluation.assessment.dataset, output.note)
        label = evaluation.weights[0].label if evaluation.run is None else f"run {evaluation.run.id}"
        print_plan(find_missing_of_target(evaluation, store), where.workers, output.as_json, label)
        store.close()
        return
    store.close()
    store = Store.write(places.db)

    def entered() -> None:  # nothing can be refused any more
        note_dataset(evaluation.assessment.dataset, output.note)
        _note_model(evaluation, output)

    with stoppable(), Watch(quiet=output.quiet, verbose=output.verbose) as watch, tracked(watch, trackers) as listen:
        done = evaluate_target(
            evaluation, store, places.runs_dir, listen, where, entered=entered, started=started, in_part=True
        )
    store.close()
    _print(evaluation, done, output)
    note_times(done.summary, done.total_s, output.note)
    end([done.summary])


def _note_model(evaluation: EvaluateJob, output: Output) -> None:
    """Say how a model from elsewhere was read: its normalisation, and what of its file was left out."""
    provenance = evaluation.opened.provenance if evaluation.opened is not None else {}
    for key, words in NOTED.items():
        if key in provenance:
            value = provenance[key]
            output.note(f"{words}: {', '.join(value) if isinstance(value, list) else value}")


def _print(evaluation: EvaluateJob, done: Evaluated, output: Output) -> None:
    from harness.cli.report_text import report_lines, sweep_lines
    from harness.planning.report import report_document

    if output.as_json:
        documents = [report_document(each) for reports in done.reports.values() for each in reports]
        print_json({"dataset": evaluation.assessment.dataset.name, "reports": documents})
    for reports in () if output.as_json else done.reports.values():
        print_lines(sweep_lines(reports) if evaluation.sweep else report_lines(reports[0]))
    say = output.note if output.as_json else print_line
    for text in filter(None, (done.origin, done.repeated)):
        say(text)


def _radii(text: str) -> tuple[float, ...]:
    """The radii of a sweep, in 1/255."""
    parts = comma_separated("--sweep", text) or ()
    for part in parts:
        if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", part) or float(part) > 255:
            raise SettingError(
                f"--sweep {text} is refused: {part!r} is no radius; give numbers from 0 to 255, in units of 1/255"
            )
    return tuple(dict.fromkeys(float(part) for part in parts))

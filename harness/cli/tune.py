"""``harness tune``: choose each method's settings by equally many trials on images held out, then run the methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from harness.cli import completion
from harness.cli.common import end, workplace
from harness.cli.console import print_boards, print_json, print_lines
from harness.cli.grouped import grouped, request_of
from harness.cli.options import Extent, ImageFolder, Output, Rules, Training, argument, comma_separated, what
from harness.cli.places import Places
from harness.cli.signals import stoppable
from harness.errors import SettingError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.api.tuned_methods import TunedMethod


@grouped
def tune(
    methods: Annotated[
        list[str],
        argument("METHOD", "Training methods: see `harness list methods`.", complete=completion.methods),
    ],
    *,
    trials: int = what("--trials N", "Train N settings of each method, the defaults first.", 20),
    network: str = what(
        "--arch NAME", "The network: see `harness list networks`.", "resnet18", complete=completion.networks
    ),
    dataset: str = what(
        "--dataset NAME", "The data set: a name, or folder:PATH.", "cifar10", complete=completion.datasets
    ),
    wrap: list[str] | None = what(
        "--wrap NAME", "Change every training update by a wrapper; may be repeated.", complete=completion.wrappers
    ),
    sampler_seed: int = what("--sampler-seed S", "The seed of what the trials try.", 0),
    folder: ImageFolder,
    rules: Rules,
    training: Training,
    extent: Extent,
    places: Places,
    output: Output,
) -> None:
    """Choose each METHOD's settings on images held out, by equally many trials; then train and attack it with the best.

    Set the number of images held out: --set train.validation=N. No trial sees a test image.
    """
    place = workplace(places)
    place.check(writing=not extent.dry_run)
    if extent.fresh:
        raise SettingError(
            "--fresh is refused: trials that are stored count; another --sampler-seed makes other trials"
        )
    if places.trackers:
        raise SettingError("--track is refused: trials are not tracked; `harness run` follows the runs with the best")

    from harness.api.progress import Watch
    from harness.api.trying import run_tuned
    from harness.api.tuning import plan_tuning
    from harness.leaderboard.render_json import row_documents
    from harness.planning.request import RunRequest

    groups, attacks = (folder, rules, training, extent, places), comma_separated("--attacks", training.attacks)
    where: dict[str, Any] = {"device": place.planned_on, "elsewhere": place.elsewhere, "attacks": attacks}
    own = {"methods": methods, "network": network, "dataset": dataset, "wrap": wrap}
    asked = request_of(RunRequest, *groups, **own, **where)
    tuning = plan_tuning(asked, trials, sampler_seed, count_only=extent.dry_run, note=output.note)
    if extent.dry_run:
        document = tuning.document(place)
        if output.as_json:
            print_json(document)
        else:
            print_lines([*_plan_lines(document)])
        return
    with stoppable(), Watch(quiet=output.quiet, verbose=output.verbose) as watch:
        found, done = run_tuned(tuning, place, watch, output.note)
    if output.as_json:
        print_json({"methods": [one.document() for one in found], "rows": list(row_documents(done.boards))})
    else:
        print_lines([*_lines(found)])
        print_boards(done.boards)
    end([done.summary])


def _plan_lines(document: dict[str, Any]) -> Iterator[str]:
    from harness.api.progress_text import duration

    for one in document["methods"]:
        passes, seconds = one["training_passes_at_most"], one["estimated_s"]
        time = "time unknown" if seconds is None else f"about {duration(seconds)}"
        searched = ", ".join(one["searched"]) or "nothing"
        yield (
            f"{one['method']}: {one['trials']} trial(s), at most {passes['forward']:.3g} forward and"
            f" {passes['backward']:.3g} backward passes of an image, {time}; searched: {searched}"
        )
    yield "then each method is trained and attacked with its best settings: harness run --dry-run says what that costs"


def _lines(found: Sequence[TunedMethod]) -> Iterator[str]:
    for one in found:
        settings = " ".join(f"{name}={value}" for name, value in one.best.settings.items()) or "its defaults"
        counts = ", ".join(f"{one.count(state)} {state}" for state in ("done", "pruned", "failed") if one.count(state))
        yield f"{one.method}: {settings}, {one.best.percent:.2f} % of the images held out; trials: {counts}"
    yield ""

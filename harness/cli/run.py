"""``harness run``: train with some methods, attack what was trained, show the figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from harness.cli import completion
from harness.cli.common import end, followers, workplace
from harness.cli.console import print_boards, print_json, print_parts
from harness.cli.grouped import grouped, request_of
from harness.cli.options import DETACH, Extent, ImageFolder, Output, Rules, Training, argument, comma_separated, what
from harness.cli.places import Places
from harness.cli.signals import stoppable
from harness.cli.sources import given
from harness.errors import SettingError

if TYPE_CHECKING:
    from harness.api.separating import Separated
    from harness.leaderboard.board import Board


@grouped
def run(
    methods: Annotated[
        list[str],
        argument(
            "METHOD",
            "Training methods: see `harness list methods`; or one experiment file, FILE.toml.",
            complete=completion.methods_or_file,
        ),
    ],
    *,
    network: str = what(
        "--arch NAME", "The network: see `harness list networks`.", "resnet18", complete=completion.networks
    ),
    dataset: str = what(
        "--dataset NAME", "The data set: a name, folder:PATH, or npz:FILE.", "cifar10", complete=completion.datasets
    ),
    wrap: list[str] | None = what(
        "--wrap NAME",
        "Change every training update by a wrapper such as awp or ema; may be repeated.",
        complete=completion.wrappers,
    ),
    grid: list[str] | None = what(
        "--grid KEY=A,B",
        "Train with each of these values of a setting, and every combination where it is repeated: A;B where a value"
        " has commas.",
    ),
    until_separated: int | None = what(
        "--until-separated LIMIT",
        "Train more seeds, LIMIT a method at most, until every two methods differ significantly; p counts every look.",
    ),
    folder: ImageFolder,
    rules: Rules,
    training: Training,
    extent: Extent,
    places: Places,
    detach: bool = DETACH,
    output: Output,
) -> None:
    """Train a network with each METHOD, attack it, and show its accuracies. Stored work is not repeated."""
    place = workplace(places)
    place.check(writing=not extent.dry_run, connecting=not (extent.dry_run or detach))
    if detach and not place.elsewhere:
        raise SettingError("--detach is refused: it hands the command to a Ray cluster; add --executor ray")
    trackers = followers(places)

    from harness.api.progress import Watch
    from harness.api.running import (
        conduct_runs,
        missing_at_the_limit,
        note_cpu,
        note_times,
        outlook_of,
        plan_experiment,
        plan_runs,
    )
    from harness.api.tracked import tracked
    from harness.cli.detached import hand_over
    from harness.cli.experiment import chosen_experiment
    from harness.cli.plan_text import print_plan
    from harness.planning.experiment import is_experiment
    from harness.planning.request import RunRequest

    groups, attacks = (folder, rules, training, extent, places), comma_separated("--attacks", training.attacks)
    where: dict[str, Any] = {"device": place.planned_on, "elsewhere": place.elsewhere}
    asked = request_of(
        RunRequest,
        *groups,
        methods=methods,
        network=network,
        dataset=dataset,
        wrap=wrap,
        grid=grid,
        until_separated=until_separated,
        attacks=attacks,
        **where,
    )
    how: dict[str, Any] = {"fresh": extent.fresh, "count_only": extent.dry_run or detach, "note": output.note}
    if is_experiment(methods):
        experiment, base = chosen_experiment(Path(methods[0]), asked, given())
        planned = plan_experiment(experiment, base, place, **how)
    else:
        planned = plan_runs(asked, place, **how)
    if extent.dry_run:
        workers, outlook = place.placement(planned.jobs[0]).workers, outlook_of(planned, place)
        at_the_limit = missing_at_the_limit(planned, place)
        print_plan(planned.missing, workers, output.as_json, outlook=outlook, at_the_limit=at_the_limit)
        return
    if detach:
        hand_over(planned.missing, place, output)
        return
    note_cpu(planned.missing, place, places.device, output.note)
    with stoppable(), Watch(quiet=output.quiet, verbose=output.verbose) as watch, tracked(watch, trackers) as listen:
        done = conduct_runs(planned, place, listen)
    if done.origin is not None:
        output.note(done.origin)
    _print(done.boards, done.separated, output)
    note_times(done.summary, done.total_s, output.note)
    end([done.summary])


def _print(boards: Sequence[Board], separated: Separated | None, output: Output) -> None:
    from harness.leaderboard.render_json import row_documents

    if separated is not None and output.as_json:
        print_json({"rows": list(row_documents(boards)), "until_separated": separated.document()})
    elif output.as_json:
        rows = list(row_documents(boards))
        # a single row is printed as one object
        print_json(rows[0] if len(rows) == 1 else {"rows": rows})
    else:
        print_boards(boards)
        if separated is not None:
            from harness.cli.separated_text import separated_parts

            print_parts(separated_parts(separated))

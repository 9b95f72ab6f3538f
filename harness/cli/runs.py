"""``harness runs``: what was trained, and what else was evaluated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.cli import completion
from harness.cli.console import print_json, print_line, print_lines
from harness.cli.grouped import grouped
from harness.cli.options import AS_JSON, DB, of_output, of_rows
from harness.cli.stores import there
from harness.errors import SettingError, UnknownName
from harness.store.run_state import State

if TYPE_CHECKING:
    from harness.leaderboard.headline import Headline
    from harness.store.store import Store

LISTED = 50  # runs, and models, that are printed
WATCH = of_output(
    "--watch",
    "Follow what is queued and at work, here and on other machines, until nothing is any more; with --json: a JSON"
    " document in a line whenever something changed.",
    False,
)
SORTS = ("run", "date", "figure", "method", "network", "dataset", "state")


@dataclass(frozen=True, kw_only=True)
class WantedRuns:
    """Which runs and models to list, and in which order."""

    dataset: str | None = of_rows("--dataset NAME", "Those on this data set alone.", complete=completion.datasets)
    network: str | None = of_rows("--arch NAME", "Those of this network alone.", complete=completion.networks)
    method: str | None = of_rows("--method NAME", "Those of this method alone.", complete=completion.methods)
    protocol: str | None = of_rows(
        "--protocol NAME",
        "Runs trained under this protocol alone: its name, or its fingerprint's beginning.",
        complete=completion.protocols,
    )
    state: State | None = of_rows(
        "--state STATE",
        "Runs in this state alone: queued, running, done, failed, cancelled, lost, or preempted.",
    )
    tag: str | None = of_rows("--tag TAG", "Those with this tag alone.", complete=completion.tags)
    since: str | None = of_rows("--since DATE", "Those that began on this day or later, such as 2026-11-30 (UTC).")
    sort: str = of_rows(
        "--sort COLUMN",
        f"The order: {', '.join(SORTS)}. The newest date comes first, and of figures that compare the highest.",
        "run",
        complete=completion.words(*SORTS),
    )
    limit: int | None = of_rows(
        "--limit N",
        "List so many runs, and so many models: the newest, or the first of another order.",
        shown=f"{LISTED}; --json lists all",
    )


@grouped
def runs(*, wanted: WantedRuns, watch: bool = WATCH, db: str | None = DB, as_json: bool = AS_JSON) -> None:
    """List runs (each the training of one network, even if it stopped or failed), and other evaluated models."""
    from harness.cli.runs_text import at_work_lines, print_runs
    from harness.store.store import Store

    if wanted.sort not in SORTS:
        raise UnknownName("order", wanted.sort, SORTS)
    if wanted.limit is not None and wanted.limit < 1:
        raise SettingError(f"--limit {wanted.limit} is refused: it must be 1 or more")
    since = _day(wanted.since)
    if watch:
        _watch(wanted, since, db, as_json=as_json)
        return
    store = Store.read(there(db))
    everything, at_work = list(documents(store)), store.at_work()
    store.close()
    chosen = [document for document in everything if _takes(wanted, since, document)]
    chosen.sort(key=lambda document: _place(document, wanted.sort))
    found = len(chosen)
    if wanted.limit is not None or not as_json:
        chosen = _first(chosen, wanted.limit or LISTED, newest=wanted.sort == "run")
    if as_json:
        lists = {name: [d for d in chosen if kind in d] for name, kind in (("runs", "run"), ("models", "model"))}
        print_json(lists | {"at_work": [one.document() for one in at_work]})
    else:
        print_runs(chosen, everything, vars(wanted))
        print_lines(at_work_lines(at_work))
        if len(chosen) < found:
            print_line(f"{len(chosen)} of {found} are listed; --limit {found} lists all")


def _watch(wanted: WantedRuns, since: str, db: str | None, *, as_json: bool) -> None:
    from datetime import datetime

    from harness.cli.watch import watch_runs
    from harness.store.seen import RunFilter

    if wanted.sort != "run" or wanted.limit is not None:
        given = "--limit" if wanted.limit is not None else "--sort"
        raise SettingError(f"{given} is refused beside --watch, which shows what fits the screen; leave one out")
    asked = {name: getattr(wanted, name) for name in ("dataset", "network", "method", "protocol", "state", "tag")}
    watch_runs(RunFilter(**asked, since=datetime.fromisoformat(since) if since else None), db, as_json=as_json)


def _first(chosen: list[dict[str, Any]], limit: int, *, newest: bool) -> list[dict[str, Any]]:
    """So many runs, and so many models, at the most: the last of the list if the newest are wanted, else the first."""
    parts = ([document for document in chosen if kind in document] for kind in ("run", "model"))
    kept = {id(document) for part in parts for document in (part[-limit:] if newest else part[:limit])}
    return [document for document in chosen if id(document) in kept]


def documents(store: Store) -> Iterator[dict[str, Any]]:
    """Every run, then every model from elsewhere, as JSON types. Figures are in percent."""
    from harness.leaderboard.contestants import contestants, trained_by
    from harness.leaderboard.headline import headline

    protocols = store.protocols()
    listed = store.listed_runs()
    states = store.states(listed)
    for one in listed:
        run = one.standing
        departures = "".join(f" {key}={value}" for key, value in run.method_departures.items())
        evaluations = [e for checkpoint in run.checkpoints for e in checkpoint.evaluations]
        found = headline(list(contestants([run], with_trials=True)), protocols) if one.status == "done" else None
        own = [p for p in protocols if p.trains(run.training_sha256, run.wrappers)]
        yield {
            "run": run.id,
            "method": run.method + departures,
            "label": (trained := trained_by(run)).label,
            "network": run.network,
            "network_label": trained.arch_label,
            "wrappers": list(trained.wrappers),
            "dataset": run.dataset.name,
            "dataset_fingerprint": run.dataset.fingerprint,
            "train_seed": run.train_seed,
            "attempt": one.attempt,
            "status": states[run.id].state,
            "since_utc": states[run.id].document()["since_utc"],
            "reason": states[run.id].reason,
            "epochs": f"{one.epochs}/{one.training.get('epochs', '?')}",
            "evaluations": sum(e.complete for e in evaluations),
            "created_utc": one.created_utc.isoformat(),
            "protocols": [{"name": p.name, "fingerprint": p.fingerprint} for p in own],
            "figure": _figure(found, run.dataset.test_examples),
            "tags": list(one.tags),
            "note": one.note,
        }
    for model in store.models():
        (theirs,) = contestants([], [model])
        found = headline([theirs], protocols)
        yield {
            "model": model.name,
            "network": model.network,
            "network_label": theirs.arch_label,
            "dataset": model.dataset.name,
            "dataset_fingerprint": model.dataset.fingerprint,
            "parameters": model.parameters,
            "evaluations": sum(e.complete for e in model.checkpoint.evaluations),
            "created_utc": model.created_utc.isoformat(),
            "protocols": [] if found is None else [{"name": found.protocol, "fingerprint": found.fingerprint}],
            "figure": _figure(found, model.dataset.test_examples),
            "tags": list(model.tags),
            "note": model.note,
        }


def _figure(found: Headline | None, test_examples: int) -> dict[str, Any] | None:
    if found is None:
        return None
    images = {"examples": found.images.count, "of": test_examples, "sample": found.images.sample}
    of = ("protocol", "fingerprint", "epsilon", "norm", "checkpoint")
    shared = {name: getattr(found, name) for name in of}
    return {"attack": found.attack, "median": found.percent, "n": found.n, **images, **shared}


def _day(text: str | None) -> str:
    """The beginning of a day, as times are written in documents; empty for None."""
    from datetime import date

    try:
        return "" if text is None else date.fromisoformat(text).isoformat()
    except ValueError:
        raise SettingError(f"--since {text} is refused: it is a day, written as 2026-11-30") from None


def _takes(wanted: WantedRuns, since: str, document: dict[str, Any]) -> bool:
    """Whether a run or model meets all that is wanted."""
    asked = wanted.protocol
    return (
        wanted.dataset in (None, document["dataset"])
        and wanted.network in (None, document["network"])
        and wanted.method in (None, document.get("model"), document.get("method", "").split(" ")[0])
        and wanted.state in (None, document.get("status"))
        and (wanted.tag is None or wanted.tag in document["tags"])
        and document["created_utc"] >= since
        and (
            asked is None
            or any(p["name"] == asked or p["fingerprint"].startswith(asked) for p in document["protocols"])
        )
    )


def _place(document: dict[str, Any], sort: str) -> tuple[Any, ...]:
    """The place of a run or model in the list; equal ones stay in the order of their numbers.

    By figure, those stand together that may be compared: of one data set, protocol, set of images, and checkpoint.
    """
    if sort == "figure":
        figure = document["figure"]
        if figure is None:
            return (True,)
        of = ("protocol", "fingerprint", "attack", "examples", "sample", "checkpoint")
        data = (document["dataset"], document["dataset_fingerprint"])
        return (False, *data, *(figure[name] for name in of), -figure["median"])
    if sort == "date":
        return tuple(-ord(character) for character in document["created_utc"])
    key = {"method": document.get("method", document.get("model")), "state": document.get("status", "")}
    return (key[sort] if sort in key else document.get(sort, ""),) if sort != "run" else ()

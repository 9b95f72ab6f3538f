"""``harness show``: everything about a run, a model, a row of the leaderboard, a plugin, or a protocol."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from harness.cli import completion
from harness.cli.console import print_json, print_line, print_lines
from harness.cli.grouped import grouped
from harness.cli.meanings import KINDS, PLUGINS_OF, meaning_of
from harness.cli.options import AS_JSON, DB, PLUGINS, argument, option
from harness.cli.owners import ON, owner_of
from harness.cli.stores import there
from harness.errors import normal, of_name

if TYPE_CHECKING:
    from rich.console import RenderableType

    from harness.leaderboard.board import Board
    from harness.store.records import RunRecord
    from harness.store.store import Store


@grouped
def show(
    what: Annotated[
        str,
        argument(
            "NAME",
            "A run's number, a model's name, a row's label, or the name of a plugin or protocol.",
            complete=completion.shown,
        ),
    ],
    kind: str | None = option(
        "What to show",
        "--as KIND",
        f"What NAME is, if it is the name of several things: {', '.join(KINDS)}.",
        complete=completion.words(*KINDS),
    ),
    dataset: str | None = ON,
    plugins: list[Path] | None = PLUGINS,
    db: str | None = DB,
    as_json: bool = AS_JSON,
) -> None:
    """Show a run or model with its settings, curves, and checks; or a row, a method, an attack, a protocol, ..."""
    from harness.store.store import Store

    files = tuple(plugins or ())
    store = Store.read(there(db))
    try:
        meant = meaning_of(what, store, files, kind)
        if meant in ("run", "model"):
            _show_owner(store, what, dataset, as_json)
        elif meant == "row":
            _show_row(store, what, as_json)
        elif meant == "protocol":
            _show_protocol(store, what, as_json)
        else:
            _show_plugin(store, meant, what, files, as_json)
    finally:
        store.close()


def _show_owner(store: Store, name: str, dataset: str | None, as_json: bool) -> None:
    from harness.store.records import RunRecord

    record = owner_of(store, name, dataset)
    if isinstance(record, RunRecord):
        _show_run(store, record, as_json)
    elif as_json:
        print_json(_in_json_types(asdict(record)))
    else:
        from harness.cli.show_text import parts_of_model

        _print(parts_of_model(record))


def _show_run(store: Store, run: RunRecord, as_json: bool) -> None:
    from harness.cli.show_records import record_document, record_lines
    from harness.store.validated import chosen_by

    recorded = store.curves(run.id), store.histograms(run.id)
    state, history = store.states([run])[run.id], store.history(run.id)
    if as_json:
        states = {"state": state.document(), "states": [one.document() for one in history]}
        best = chosen_by(run)
        chosen = {} if best is None else {"chosen": asdict(best)}
        document = asdict(run) | record_document(*recorded) | states | chosen
        for epoch in document["epochs"]:
            del epoch["curve"], epoch["histograms"]  # they stand together, beside the epochs
        print_json(_in_json_types(document))
        return
    from harness.cli.named_weights import named_weights
    from harness.cli.show_text import parts_of_run

    _print(parts_of_run(run, state, history, record_lines(*recorded), named_weights(run, store)))


def _show_row(store: Store, label: str, as_json: bool) -> None:
    """The boards that have the row, with this row alone; the numbers of its runs."""
    from harness.cli.console import print_boards
    from harness.leaderboard.board import Selection
    from harness.leaderboard.contestants import trained_by
    from harness.leaderboard.ranking import boards
    from harness.leaderboard.render_json import row_documents

    called = of_name(label, store.called_runs(with_weights=True), lambda run: trained_by(run).label)
    numbers = sorted(run.id for run in called)
    chosen = boards(store, Selection(runs=frozenset(numbers)))
    if as_json:
        print_json({"row": label, "runs": numbers, "rows": list(row_documents(chosen))})
        return
    print_line(f"{label}: runs {', '.join(map(str, numbers))}; `harness show {numbers[0]}` shows the first")
    print_boards(chosen)
    if not chosen:
        print_line("It stands on no board yet: no attack of its protocol is complete")


def _show_plugin(store: Store, kind: str, name: str, files: tuple[Path, ...], as_json: bool) -> None:
    from harness.cli.listing import plugin_document, print_entry
    from harness.leaderboard.board import MEASURED
    from harness.leaderboard.ranking import boards
    from harness.registry.catalogue import discover

    catalogue = discover(PLUGINS_OF[kind], files)
    cls = catalogue.get(name)  # a broken one is refused, with the reason
    entry = plugin_document(PLUGINS_OF[kind], catalogue.found[name])
    entry["about"] = _about(cls)
    entry["rows"] = list(_rows_with(kind, name, (b for b in boards(store) if b.source == MEASURED)))
    if as_json:
        print_json({kind: entry})
        return
    from rich.text import Text

    print_entry(entry)
    _print([Text(f"\n{entry['about']}")])
    for row in entry["rows"]:
        figure = "-" if row["median"] is None else f"{row['median']:.2f}"
        print_lines(
            ["", f"{row['label']}, {row['dataset']}, {row['arch']}, {row['checkpoint']}: {row['attack']} {figure} %"]
        )
        print_line(
            f"  protocol {row['protocol']}, runs {', '.join(map(str, row['runs'])) or 'none (a model from elsewhere)'}"
        )


def _about(cls: type) -> str:
    """What the plugin's file says of it."""
    import inspect
    import sys

    texts = [inspect.cleandoc(text) for text in (sys.modules[cls.__module__].__doc__, cls.__doc__) if text]
    return "\n\n".join(dict.fromkeys(texts))


def _rows_with(kind: str, name: str, boards: Iterable[Board]) -> Iterable[dict[str, Any]]:
    """The measured rows that a plugin has part in, with a figure each: under the attack, or the one that ranks."""
    for board in boards:
        attack = name if kind == "attack" else board.ranked_by
        for row in board.rows if attack in board.columns else ():
            wrapped = any(normal(wrapper.split("@")[0].split(" ")[0]) == name for wrapper in row.wrappers)
            own = {"method": row.method, "network": row.network, "dataset": board.dataset.split(":")[0]}
            if kind == "attack" or (wrapped if kind == "wrapper" else own[kind] == name and row.trained_here):
                yield {
                    "label": row.label,
                    "dataset": board.dataset,
                    "arch": row.arch_label,
                    "checkpoint": row.checkpoint,
                    "protocol": f"{board.protocol} [{board.fingerprint[:8]}]",
                    "attack": attack,
                    "median": row.value(attack),
                    "runs": list(row.runs),
                }


def _show_protocol(store: Store, name: str, as_json: bool) -> None:
    """A protocol that ships, and those that were used under its name or fingerprint."""
    from harness.cli.listing import print_entry, protocol_documents

    shipped = [entry for entry in protocol_documents() if entry["name"] == name]
    runs = store.attempts()
    used = [
        {
            "name": p.name,
            "fingerprint": p.fingerprint,
            "attacks": list(p.attacks),
            "document": p.document,
            "runs": [run.id for run in runs if p.trains(run.training_sha256, run.wrappers)],
        }
        for p in store.protocols()
        if p.name == name or p.fingerprint.startswith(name)
    ]
    if as_json:
        print_json({"protocol": shipped[0] if shipped else None, "used": used})
        return
    for entry in shipped:
        print_entry(entry)
        print_line(f"fingerprint as shipped: {entry['fingerprint'][:8]}")
    from harness.cli.show_text import protocol_lines

    for protocol in used:
        print_lines(protocol_lines(protocol))


def _print(parts: Iterable[RenderableType]) -> None:
    from harness.api.terminal import Terminal

    console = Terminal()
    for part in parts:
        console.print(part)


def _in_json_types(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _in_json_types(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_in_json_types(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None  # JSON has no infinity and no NaN
    return value.isoformat() if isinstance(value, datetime) else value

"""The options of the commands that write a run for a model hub."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli import completion
from harness.cli.options import DB, PLUGINS, RUNS_DIR, option
from harness.cli.stores import there

if TYPE_CHECKING:
    from harness.hub.facts import CardFacts

of_model = partial(option, "The model")


@dataclass(frozen=True, kw_only=True)
class Model:
    """Which checkpoint, and what its card says besides what was measured."""

    checkpoint: str = of_model(
        "--checkpoint NAME", "The checkpoint of the run: early, best, or last.", "last", complete=completion.checkpoints
    )
    licence: str | None = of_model(
        "--license --licence ID", "The licence of the weights, such as mit or apache-2.0.", shown="none is named"
    )
    with_note: bool = of_model("--with-note", "Publish the note on the run, too.", False)
    runs_dir: Path = RUNS_DIR
    db: str | None = DB
    plugins: list[Path] | None = PLUGINS


def read_facts(run_id: int, model: Model) -> CardFacts:
    """Read what the card will say."""
    from harness.hub.facts import card_facts
    from harness.hub.names import checked_licence
    from harness.store.store import Store

    licence = checked_licence(model.licence)
    store = Store.read(there(model.db))
    try:
        files = tuple(model.plugins or ())
        chosen = {"licence": licence, "with_note": model.with_note}
        return card_facts(store, run_id, model.checkpoint, plugins=files, **chosen)  # type: ignore[arg-type]
    finally:
        store.close()

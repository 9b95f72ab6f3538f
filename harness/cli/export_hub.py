"""``harness export hub``: a run as the folder of files that a model hub takes, without any network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from harness.cli.console import print_document, print_line
from harness.cli.grouped import grouped
from harness.cli.options import argument, of_output
from harness.cli.sharing import Model, read_facts


@grouped
def hub(
    run_id: Annotated[int, argument("RUN", "The run's number, as `harness runs` prints it.")],
    *,
    model: Model,
    out: Path | None = of_output(
        "--out DIR", "The folder to write: a new one, or an empty one.", shown="print the card"
    ),
) -> None:
    """Write a run for a model hub: the model card, the weights, the settings, and code that loads the model."""
    from harness.hub.folder import check_folder, hub_files, write_folder

    if out is not None:
        check_folder(out)
    facts = read_facts(run_id, model)
    command = f"harness export hub {run_id}"
    files = hub_files(facts, model.runs_dir, command=command, plugins=tuple(model.plugins or ()))
    if out is None:
        print_document(files["README.md"].decode())
        return
    write_folder(out, files)
    print_line(f"wrote {out}: {', '.join(files)}", error=True)

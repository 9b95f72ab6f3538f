"""``harness upload``: a run with its model card to a model hub, in one commit."""

from __future__ import annotations

from typing import Annotated

from harness.cli.console import print_document, print_line
from harness.cli.grouped import grouped
from harness.cli.options import argument, option
from harness.cli.sharing import Model, read_facts
from harness.errors import visible

_TO = "Where to"


@grouped
def upload(
    run_id: Annotated[int, argument("RUN", "The run's number, as `harness runs` prints it.")],
    *,
    to: str = option(_TO, "--to OWNER/NAME", "The repository on the Hub; it is made if there is none.", ...),
    private: bool = option(_TO, "--private", "The repository must be private.", False),
    revision: str = option(_TO, "--revision BRANCH", "The branch to commit to; it is made if there is none.", "main"),
    model: Model,
    dry_run: bool = option(_TO, "--dry-run", "Print the files and the card; ask no network.", False),
) -> None:
    """Upload a run to a model hub, such as Hugging Face's: the model card, the weights, and code that loads them."""
    from harness.hub.folder import hub_files
    from harness.hub.names import checked_branch, checked_repository
    from harness.hub.upload import upload_files

    repository, branch = checked_repository(to), checked_branch(revision)
    facts = read_facts(run_id, model)
    command = f"harness upload {run_id} --to {repository}"
    plugins = tuple(model.plugins or ())
    where = {"repository": repository, "revision": branch}
    files = hub_files(facts, model.runs_dir, command=command, plugins=plugins, **where)
    if dry_run:
        for name, content in files.items():
            print_line(f"{name}: {len(content):,} bytes")
        print_document(f"\n{files['README.md'].decode()}")
        return
    message = visible(f"Upload {facts.run.spec.label}, checkpoint {facts.checkpoint.name}, by harness")
    done = upload_files(files, repository, message=message, private=private, revision=branch)
    for remark in done.remarks:
        print_line(f"note: {remark}", error=True)
    if not done.made:
        print_line(f"note: {repository} was there already; its history keeps the files as they were", error=True)
    print_line(f"{done.address} commit {done.commit}")

"""``harness rm``: remove runs, and models from elsewhere, with all that the store has of them."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli import completion
from harness.cli.console import print_line, print_lines
from harness.cli.grouped import grouped
from harness.cli.options import DB, RUNS_DIR, argument, option
from harness.cli.owners import ON, owners_of
from harness.cli.remarks import RUN
from harness.cli.stores import there
from harness.errors import HarnessError, StoreError, listed

if TYPE_CHECKING:
    from harness.store.lookups import Attempt
    from harness.store.records import ModelRecord, RunRecord

    Owner = RunRecord | ModelRecord

OWN_FILES = ("state.pt", "state-before.pt", "log.txt", "*.safetensors", ".*.tmp")
"""What harness writes into a run's folder; other files there are somebody else's."""


@grouped
def remove(
    runs: Annotated[list[str], argument("RUN", RUN, complete=completion.runs)],
    yes: bool = option("How to remove", "--yes", "Do not ask.", False),
    weights: bool = option(
        "How to remove", "--weights", "Delete the runs' files, too: weights, training states, and logs.", False
    ),
    dataset: str | None = ON,
    runs_dir: Path = RUNS_DIR,
    db: str | None = DB,
) -> None:
    """Remove runs, or models from elsewhere, with their evaluations and findings; say first what will be lost."""
    from harness.files import in_use
    from harness.store import database
    from harness.store.store import Store

    store = Store.read(there(db))
    owners = owners_of(store, runs, dataset)
    attempts = store.attempts({owner.identity for owner in owners})
    store.close()
    database.check_writable(database.locate(db))
    folders = [_folder(owner, runs_dir) for owner in owners]
    try:
        with in_use([folder for folder in folders if folder is not None], alone=True):
            for owner, folder in zip(owners, folders, strict=True):
                files = _own_files(folder)
                print_lines(_losses(owner, attempts, owners, folder, files, weights))
            _ask(yes)
            store = Store.write(db)
            store.remove(owners)
            store.close()
            if weights:
                _delete(owners, runs_dir)
    except BlockingIOError as error:
        raise HarnessError(
            f"{error.filename} is in use: a command is working on that run right now; wait for it, or stop it"
        ) from None
    print_lines([f"removed {listed([owner.title for owner in owners], len(owners))}"])


def _losses(
    owner: Owner,
    attempts: Sequence[Attempt],
    gone: Sequence[Owner],
    folder: Path | None,
    files: Sequence[Path],
    weights: bool,
) -> Iterator[str]:
    """What is lost with a run or a model, line by line; ``attempts`` are those at the identities that go."""
    from harness.store.records import RunRecord

    checkpoints = owner.checkpoints if isinstance(owner, RunRecord) else (owner.checkpoint,)
    place = f"{owner.network}, {owner.dataset.name}"
    if isinstance(owner, RunRecord):
        trained = f"{len(owner.epochs)}/{owner.training.get('epochs', '?')} epochs"
        yield f"{owner.title}: {owner.method}, {place}, seed {owner.train_seed}; {owner.status}, {trained}"
    else:
        yield f"{owner.title}: {place}"
    evaluations = [e for checkpoint in checkpoints for e in checkpoint.evaluations]
    findings = sum(len(x.findings) for checkpoint in checkpoints for x in checkpoint.examinations)
    verdicts = sum(e.done for e in evaluations)
    parts = [f"{len(evaluations)} evaluations ({verdicts:,} verdicts)", f"{findings} findings of checks"]
    parts += ["its note"] if owner.note else []
    parts += [f"its tags ({', '.join(owner.tags)})"] if owner.tags else []
    yield f"  lost: {', '.join(parts)}"
    if isinstance(owner, RunRecord) and (earlier := _counts_then(owner, attempts, gone)) is not None:
        yield f"  run {earlier.id}, an earlier attempt of it, counts on the leaderboard then"
    if isinstance(owner, RunRecord) and files:
        size = sum(file.stat().st_size for file in files) / 1e6
        fate = "are deleted" if weights else "stay; --weights deletes them, too"
        yield f"  its {len(files)} files in {folder} ({size:.1f} MB) {fate}"
    elif isinstance(owner, RunRecord):
        unsure = "; if a command trains it with another --runs-dir right now, stop that first"
        yield f"  none of its files is in {folder or 'the folder of the runs'}" + (
            unsure if owner.status == "running" else ""
        )


def _counts_then(run: RunRecord, attempts: Sequence[Attempt], gone: Sequence[Owner]) -> Attempt | None:
    """The earlier attempt that takes the run's place on the leaderboard; None where there is none."""
    removed = {owner.id for owner in gone if type(owner) is type(run)}
    done = [other for other in attempts if other.identity == run.identity and other.status == "done"]
    left = [other for other in done if other.id not in removed]
    return left[-1] if left and done[-1].id == run.id else None  # the last number counts, as for the leaderboard


def _ask(yes: bool) -> None:
    """Ask whether to remove these; HarnessError where the answer is no, or nobody can answer."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise HarnessError("nothing was removed: nobody is there to be asked; --yes removes these without a question")
    if not typer.confirm("Remove these?", err=True):
        raise HarnessError("nothing was removed")


def _folder(owner: Owner, runs_dir: Path) -> Path | None:
    """The folder of a run or model, below --runs-dir; None where a row that another program wrote names a path."""
    from harness.store.folders import model_folder, run_folder
    from harness.store.records import RunRecord

    try:
        if isinstance(owner, RunRecord):
            return run_folder(runs_dir, owner)
        return model_folder(runs_dir, owner.checkpoint.sha256)
    except StoreError:  # the row can be removed all the same
        return None


def _own_files(folder: Path | None) -> list[Path]:
    """The files of a run; none if its folder is a link."""
    if folder is None or folder.is_symlink() or not folder.is_dir():
        return []
    return sorted(file for pattern in OWN_FILES for file in folder.glob(pattern) if file.is_file())


def _delete(owners: Sequence[Owner], runs_dir: Path) -> None:
    """Delete the files of the runs among these, and each folder that is empty then."""
    from harness.store.records import RunRecord

    for folder in (_folder(owner, runs_dir) for owner in owners if isinstance(owner, RunRecord)):
        files = _own_files(folder)
        try:
            for file in files:
                file.unlink(missing_ok=True)
            if folder is not None and files and not any(folder.iterdir()):
                folder.rmdir()
        except OSError as error:
            print_line(f"note: {error.filename} cannot be deleted ({error.strerror})", error=True)

"""``harness note`` and ``harness tag``: remarks on stored runs and models, which change no figure and no identity."""

from __future__ import annotations

from typing import Annotated

from harness.cli import completion
from harness.cli.console import print_line
from harness.cli.grouped import grouped
from harness.cli.options import DB, argument, option
from harness.cli.owners import ON, owner_of, owners_of
from harness.cli.stores import there
from harness.errors import HarnessError

RUN = "A run's number, or the name of a model from elsewhere: see `harness runs`."


@grouped
def note(
    run: Annotated[str, argument("RUN", RUN, complete=completion.runs)],
    text: Annotated[str, argument("TEXT", "The note, in quotes; '' removes it.")],
    dataset: str | None = ON,
    db: str | None = DB,
) -> None:
    """Write a note on a run or model, in place of an older one; `harness runs` and `harness show` print it."""
    from harness.store import database
    from harness.store.curating import note_of
    from harness.store.store import Store

    written = note_of(text)
    store = Store.read(there(db))
    owner = owner_of(store, run, dataset)
    store.close()
    database.check_writable(database.locate(db))
    store = Store.write(db)
    store.annotate(owner, written)
    store.close()
    if written is None:
        print_line(f"{owner.title} has no note any more" if owner.note else f"{owner.title} had no note")
    else:
        print_line(
            f"{owner.title}: {written}" + (f" (before: {owner.note})" if owner.note not in (None, written) else "")
        )


@grouped
def tag(
    runs: Annotated[list[str], argument("RUN", RUN, complete=completion.runs)],
    add: list[str] | None = option("Tags", "--add TAG", "A tag to add; may be repeated.", complete=completion.tags),
    remove: list[str] | None = option(
        "Tags", "--remove TAG", "A tag to remove; may be repeated.", complete=completion.tags
    ),
    dataset: str | None = ON,
    db: str | None = DB,
) -> None:
    """Add tags to runs and models, or remove tags; `harness runs --tag TAG` lists those that have one."""
    from harness.store import database
    from harness.store.curating import refuse_no_tag
    from harness.store.store import Store

    if not add and not remove:
        raise HarnessError("no tag is named: give --add TAG, --remove TAG, or both")
    if both := set(add or ()) & set(remove or ()):
        raise HarnessError(f"--add {min(both)} and --remove {min(both)} exclude each other; leave one out")
    for name in add or ():
        refuse_no_tag(name)
    store = Store.read(there(db))
    owners = owners_of(store, runs, dataset)
    everywhere = {name for owner in owners for name in owner.tags}
    store.close()
    if unknown := [name for name in remove or () if name not in everywhere]:
        raise HarnessError(f"--remove {unknown[0]} is refused: none of these has that tag; see `harness runs`")
    database.check_writable(database.locate(db))
    store = Store.write(db)
    store.change_tags(owners, add or (), remove or ())
    after = owners_of(store, runs, dataset)
    store.close()
    for owner in after:
        print_line(f"{owner.title}: {', '.join(owner.tags) or 'no tags'}")

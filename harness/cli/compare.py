"""``harness compare``: two methods, networks, or attacks on the same test images, with the tests that fit."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli import completion
from harness.cli.console import print_parts
from harness.cli.grouped import grouped
from harness.cli.options import AsJson, Db, ImageFolder, Plugins, place, rows_option
from harness.errors import HarnessError

if TYPE_CHECKING:
    from rich.console import RenderableType


how = partial(typer.Option, rich_help_panel="How to compare")


@grouped
def compare(
    first: Annotated[
        str | None, typer.Argument(metavar="A", help="A run's number, or a row's label such as 'lrat floor=pgd'.")
    ] = None,
    second: Annotated[str | None, typer.Argument(metavar="B", help="What to compare it with, likewise.")] = None,
    *,
    attack: Annotated[
        str | None,
        how(
            metavar="NAME",
            help="Under this attack, or worst_case.",
            show_default="the last that both have",
            autocompletion=completion.plugin_names("attacks"),
        ),
    ] = None,
    dataset: Annotated[
        str | None,
        rows_option(
            metavar="NAME",
            help="On this data set; folder:PATH is read, for the classes of its images.",
            autocompletion=completion.plugin_names("datasets"),
        ),
    ] = None,
    arch: Annotated[
        str | None,
        rows_option(metavar="NAME", help="Of this network.", autocompletion=completion.plugin_names("networks")),
    ] = None,
    checkpoint: Annotated[
        str | None,
        rows_option(
            metavar="NAME",
            help="At this checkpoint: early or last.",
            autocompletion=completion.words("early", "last"),
        ),
    ] = None,
    protocol: Annotated[
        str | None,
        rows_option(
            metavar="NAME",
            help="Trained under this protocol: its name, or its fingerprint's beginning.",
            autocompletion=completion.protocols,
        ),
    ] = None,
    everything: Annotated[bool, how("--all", help="All pairs of rows of each board, Holm-corrected.")] = False,
    vulnerable: Annotated[bool, how("--vulnerable", help="Compare which test images are the most vulnerable.")] = False,
    attacks: Annotated[
        str | None,
        how(
            metavar="X,Y",
            help="With --vulnerable and A alone: two attacks on it.",
            autocompletion=completion.plugin_lists("attacks"),
        ),
    ] = None,
    share: Annotated[
        float | None,
        how(metavar="SHARE", help="With --vulnerable: the share of images.", show_default="0.2"),
    ] = None,
    folder: ImageFolder,
    data_dir: Annotated[
        Path | None, place(metavar="PATH", help="Read the classes of a data set that is not bundled from here.")
    ] = None,
    plugins: Plugins = None,
    db: Db = None,
    as_json: AsJson = False,
) -> None:
    """Compare two methods, networks, or attacks on the same test images: differences, intervals, paired tests."""
    names = [name for name in (first, second) if name is not None]
    _check(names, everything, vulnerable, attacks, attack, share)
    from harness.comparison import document as documents
    from harness.comparison import text as texts
    from harness.comparison.comparison import compare as compare_entrants
    from harness.comparison.families import families
    from harness.comparison.labels import known_labels, labels_of, read
    from harness.comparison.naming import Where, find_one, find_two
    from harness.comparison.vulnerable import attacks_agree, networks_agree
    from harness.leaderboard.board import Selection
    from harness.statistics.agreement import SHARE
    from harness.store.store import Store

    images = read(dataset, vars(folder), data_dir, tuple(plugins or ())) if ":" in (dataset or "") and dataset else None
    dataset = images.name if images else dataset
    fingerprint = images.fingerprint if images else None
    store = Store.read(db)
    where = Where(dataset=dataset, fingerprint=fingerprint, network=arch, checkpoint=checkpoint, protocol=protocol)
    if everything:
        selection = Selection(dataset=dataset, network=arch, checkpoint=checkpoint, protocol=protocol, sort=attack)
        found = families(store, selection)
        _emit(documents.family_document(found), texts.family_parts(found), as_json)
    elif attacks is not None:
        pairs = attacks_agree(store, find_one(store, names[0], where), attacks.split(","), share or SHARE)
        _emit(documents.vulnerable_document(pairs), texts.vulnerable_parts(pairs), as_json)
    elif vulnerable:
        pairs = networks_agree(store, *find_two(store, names[0], names[1], where), attack, share or SHARE)
        _emit(documents.vulnerable_document(pairs), texts.vulnerable_parts(pairs), as_json)
    else:
        one, other = find_two(store, names[0], names[1], where)
        record = one.networks[0].dataset
        labels = labels_of(images, record) if images else known_labels(record, data_dir, tuple(plugins or ()))
        result = compare_entrants(store, one, other, attack, labels)
        _emit(documents.comparison_document(result), texts.comparison_parts(result), as_json)
    store.close()


def _check(
    names: list[str], everything: bool, vulnerable: bool, attacks: str | None, attack: str | None, share: float | None
) -> None:
    """Refuse what does not go together."""
    if everything and (names or vulnerable):
        raise HarnessError("--all compares every two rows of each board: give no names and no --vulnerable beside it")
    if not vulnerable and (attacks is not None or share is not None):
        raise HarnessError("--attacks and --share are about vulnerable images: add --vulnerable")
    if share is not None and not 0 < share <= 1:
        raise HarnessError(f"--share {share:g} is refused: it is a share of the images, above 0 and at most 1")
    if attacks is not None and attack is not None:
        raise HarnessError("--attacks compares two attacks on one network, --attack is one for two: give one of them")
    wanted = 0 if everything else 1 if attacks is not None else 2
    if len(names) != wanted:
        form = ("--all", "A --attacks X,Y --vulnerable", "A B")[wanted]
        raise HarnessError(f"{len(names)} name(s) where {wanted} belong: write harness compare {form}")


def _emit(document: dict[str, Any], parts: Iterator[RenderableType], as_json: bool) -> None:
    if as_json:
        print(json.dumps(document, indent=2))
        return
    print_parts(parts)

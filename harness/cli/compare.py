"""``harness compare``: two methods, networks, or attacks on the same test images, with statistical tests."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Annotated

from harness.cli import completion
from harness.cli.console import print_json, print_line, print_parts
from harness.cli.grouped import grouped
from harness.cli.options import AS_JSON, DB, PLUGINS, ImageFolder, Rows, argument, of_rows, option, place
from harness.cli.stores import there
from harness.errors import HarnessError

MANY_PAIRS = 10_000
PAIRS_A_SECOND = 8_000  # on one core, if rows have five networks; see benchmarks/scale.py
PAIRS_A_GIGABYTE = 1_000_000  # of memory

of_comparison = partial(option, "How to compare")


@dataclass(frozen=True, kw_only=True)
class How:
    """What is compared: two rows under one attack; all pairs; the most vulnerable images of two rows or attacks."""

    attack: str | None = of_comparison(
        "--attack NAME",
        "Compare under this attack, or under worst_case.",
        shown="the last attack that both have",
        complete=completion.attacks,
    )
    everything: bool = of_comparison(
        "--all", "Compare all pairs of rows of each board; p-values are Holm-corrected.", False
    )
    protocols: str | None = of_comparison(
        "--protocols X,Y",
        "Compare the orders of the same rows on the boards of two protocols, by Kendall's tau.",
        complete=completion.protocols,
    )
    vulnerable: bool = of_comparison("--vulnerable", "Compare which test images are the most vulnerable.", False)
    attacks: str | None = of_comparison(
        "--attacks X,Y", "With --vulnerable and A alone: compare two attacks on A.", complete=completion.attack_list
    )
    share: float | None = of_comparison(
        "--share SHARE", "With --vulnerable: the share of images to call most vulnerable.", shown="0.2"
    )
    margin: float | None = of_comparison(
        "--margin POINTS", "Also test whether the two are alike: no worse, and no better, by this many points."
    )
    power: bool = of_comparison(
        "--power", "Say what difference the training seeds can tell, and how many seeds a difference needs.", False
    )
    points: str | None = of_comparison(
        "--points D,E", "With --power: the differences to plan seeds for, in points.", shown="0.5,1,2"
    )


@grouped
def compare(
    first: Annotated[str | None, argument("A", "A run's number, or a row's label such as 'lrat floor=pgd'.")] = None,
    second: Annotated[str | None, argument("B", "What to compare A with: a run's number or a row's label.")] = None,
    *,
    how: How,
    dataset: str | None = of_rows(
        "--dataset NAME",
        "Rows on this data set alone. folder:PATH is read for the labels of its images.",
        complete=completion.datasets,
    ),
    rows: Rows,
    folder: ImageFolder,
    data_dir: Path | None = place("--data-dir PATH", "The folder to read the labels of a downloaded data set from."),
    plugins: list[Path] | None = PLUGINS,
    db: str | None = DB,
    as_json: bool = AS_JSON,
) -> None:
    """Compare two methods, networks, or attacks on the same test images: differences, intervals, paired tests."""
    names = [name for name in (first, second) if name is not None]
    _check(how, names, rows)
    reading = next((name.replace("_", "-") for name, value in vars(folder).items() if value is not None), None)
    if reading is not None and dataset is None:
        raise HarnessError(f"--{reading} says how a folder of images is read: add --dataset folder:PATH")
    from harness.comparison import document as documents
    from harness.comparison import text as texts
    from harness.comparison.alike import alike
    from harness.comparison.comparison import compare as compare_entrants
    from harness.comparison.comparison import families, rivals
    from harness.comparison.labels import known_labels, labels_of, read, to_be_read
    from harness.comparison.naming import Where, find_one, find_two
    from harness.comparison.order_text import order_parts
    from harness.comparison.orders import compare_orders
    from harness.comparison.resolution import points_of, resolution
    from harness.comparison.vulnerable import attacks_agree, networks_agree
    from harness.leaderboard.board import Selection
    from harness.statistics.agreement import SHARE
    from harness.store.store import Store

    store = Store.read(there(db))
    images = None
    if dataset is not None and to_be_read(dataset, vars(folder), store):
        images = read(dataset, vars(folder), data_dir, tuple(plugins or ()))
        dataset = images.name
    points = points_of(how.points)
    where = Where(dataset=dataset, fingerprint=images.fingerprint if images else None, **vars(rows))
    if how.protocols is not None:
        ranked = compare_orders(
            store, how.protocols.split(","), Selection(dataset=dataset, sort=how.attack, **vars(rows))
        )
        document, parts = documents.order_document(ranked), order_parts(ranked)
    elif how.everything:
        compared = rivals(store, Selection(dataset=dataset, sort=how.attack, **vars(rows)))
        _tell_many([len(ranked) for _, ranked in compared])
        found = families(store, compared)
        document, parts = documents.family_document(found), texts.family_parts(found)
    elif how.attacks is not None:
        pairs = attacks_agree(store, find_one(store, names[0], where), how.attacks.split(","), how.share or SHARE)
        document, parts = documents.vulnerable_document(pairs), texts.vulnerable_parts(pairs)
    elif how.vulnerable:
        pairs = networks_agree(store, *find_two(store, names[0], names[1], where), how.attack, how.share or SHARE)
        document, parts = documents.vulnerable_document(pairs), texts.vulnerable_parts(pairs)
    else:
        one, other = find_two(store, names[0], names[1], where)
        record = one.networks[0].dataset
        labels = labels_of(images, record) if images else known_labels(record, data_dir, tuple(plugins or ()))
        result = compare_entrants(store, one, other, how.attack, labels)
        document, parts = documents.comparison_document(result), texts.comparison_parts(result)
        if how.margin is not None:
            same = alike(result, how.margin)
            document = document | {"equivalence": documents.alike_document(same)}
            parts = chain(parts, texts.alike_parts(result, same))
        if how.power:
            told = resolution(store, result, points, where)
            document = document | {"power": documents.resolution_document(told)}
            parts = chain(parts, texts.resolution_parts(told))
    if as_json:
        print_json(document)
    else:
        print_parts(parts)
    store.close()


def _tell_many(rows: list[int]) -> None:
    """Say, before many pairs are compared, how long it takes, and how to compare fewer.

    Args:
        rows: how many rows each board has.
    """
    pairs = sum(count * (count - 1) // 2 for count in rows)
    cost = f"{max(1, pairs // PAIRS_A_SECOND)} s"
    if pairs >= PAIRS_A_GIGABYTE:
        cost += f" and {pairs / PAIRS_A_GIGABYTE:.1f} GB of memory"
    if pairs > MANY_PAIRS:
        print_line(
            f"harness: comparing {pairs} pairs of {sum(rows)} rows takes about {cost};"
            " --dataset, --arch, --checkpoint, and --protocol compare fewer",
            error=True,
        )


def _check(how: How, names: list[str], rows: Rows) -> None:
    """Refuse options and names that do not go together."""
    single = (how.vulnerable, how.power, how.margin is not None, how.everything)
    if how.protocols is not None and (names or rows.protocol is not None or any(single)):
        raise HarnessError("--protocols compares the orders of two boards: give no names and no other question with it")
    if how.everything and (names or how.vulnerable):
        raise HarnessError("--all compares every two rows of each board: give no names and no --vulnerable with it")
    if not how.vulnerable and (how.attacks is not None or how.share is not None):
        raise HarnessError("--attacks and --share are about vulnerable images: add --vulnerable")
    if how.power and (how.everything or how.vulnerable):
        raise HarnessError("--power is about two methods under one attack: write harness compare A B --power")
    if how.margin is not None and (how.everything or how.vulnerable):
        raise HarnessError("--margin is about two rows under one attack: write harness compare A B --margin POINTS")
    if how.points is not None and not how.power:
        raise HarnessError("--points names the differences that --power plans for: add --power")
    if how.share is not None and not 0 < how.share <= 1:
        raise HarnessError(f"--share {how.share:g} is refused: it is a share of the images, above 0 and at most 1")
    if how.attacks is not None and how.attack is not None:
        raise HarnessError("--attacks compares two attacks on one network, --attack is one for two: give one of them")
    wanted = 0 if how.everything or how.protocols is not None else 1 if how.attacks is not None else 2
    if len(names) != wanted:
        form = ("--all", "A --attacks X,Y --vulnerable", "A B")[wanted]
        raise HarnessError(f"{len(names)} name(s) where {wanted} belong: write harness compare {form}")

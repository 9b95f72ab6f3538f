"""Comparisons as text; each number stands with its unit of inference."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from harness.comparison.alike import Alike
from harness.comparison.comparison import Comparison, Family, NetworkComparison, Tested
from harness.comparison.lines import add_row, bold_line, table_of, text_line
from harness.comparison.resolution import Detectable, Resolution
from harness.comparison.vulnerable import Vulnerable
from harness.errors import legible
from harness.leaderboard.cells import ball_words, interval_text
from harness.leaderboard.columns import title_of
from harness.leaderboard.pairs import rule
from harness.statistics.equivalence import Equivalence
from harness.statistics.paired import ALPHA
from harness.statistics.power import MOST_SEEDS
from harness.statistics.seed_sides import PAIRED, WELCH, SeedTest
from harness.statistics.seed_variance import SeedVariance
from harness.store.scope import Scope

MOST_PAIRS = 200  # of a board, that are printed; 20 rows have 190


def comparison_parts(comparison: Comparison) -> Iterator[RenderableType]:
    """Two entrants: over training seeds, network by network, attack seed by attack seed, class by class."""
    first, second, column = legible(comparison.first.name), legible(comparison.second.name), comparison.column
    dataset = comparison.networks[0].first.dataset
    yield bold_line(
        f"{first} and {second}, {title_of(column.name)}: {legible(dataset.name)} [{dataset.fingerprint[:8]}],"
        f" {column.images.described(dataset.test_examples)}, {_places(comparison.networks[0])}{_protocol(comparison)}"
    )
    yield text_line(f"A is {first}, B is {second}; a difference is A minus B, in points.")
    yield from (text_line(note) for note in comparison.notes)
    t = comparison.methods
    if t is not None:
        yield bold_line("\nThe methods, trained from new seeds, on these test images (unit: the training seed)")
        p = f"p {p_text(t.p, equals='= ')}" if t.p is not None else "no p: the difference is the same for every seed"
        interval = interval_text(t.interval, sign=True)
        yield text_line(f"  {t.difference:+.2f} {interval} 95 % t-interval, {_over(t)} training seeds, {p}")
        yield from (text_line(f"  {line}") for line in _pairing(comparison))
    yield bold_line(f"\nThese networks, on images of this kind (unit: the test image, n = {column.examples})")
    yield text_line(
        "Right under every attack seed; 95 % bootstrap interval over images; McNemar's exact p, not corrected"
    )
    yield _networks(comparison)
    if any(len(network.by_seed) > 1 for network in comparison.networks):
        yield text_line("Difference and McNemar's p under each attack seed")
        yield _by_seed(comparison)
    if comparison.networks[0].classes:
        rule = f"* where McNemar's p, Holm over classes, is below {ALPHA:g}"
        yield text_line(f"Difference on the images of each class; {rule}")
        yield _classes(comparison)


def _protocol(comparison: Comparison) -> str:
    """``, protocol digits [2222abcd], epsilon 0.2``: whose attack settings these are; empty if no protocol has them."""
    found, images = comparison.protocol, comparison.column.images
    if found is None:
        return ""
    scope = Scope.of_document(found.document, found.attacks, images.count, images.sample)
    return f", protocol {legible(found.name)} [{found.fingerprint[:8]}]{ball_words(scope)}"


def _over(t: SeedTest) -> str:
    if t.test == PAIRED:
        return f"paired t over n = {t.n}"
    first, second = t.counts
    return f"{WELCH}, not paired, over n = {first if first == second else f'{first} and {second}'}"


def _pairing(comparison: Comparison) -> Iterator[str]:
    """Why seeds are not paired, and how the methods go together seed by seed."""
    sides = comparison.sides
    assert sides is not None
    if not sides.paired:
        yield (
            "seeds are paired where network and training protocol are the same, and two seeds in common; here they are"
            " not"
        )
    found = sides.correlation
    if found is not None:
        interval = f" [{found.interval.low:.2f}, {found.interval.high:.2f}]" if found.interval else ""
        yield (
            f"seed by seed A and B correlate, r = {found.r:.2f}{interval} over n = {found.n}: the variance of their"
            f" difference is {found.ratio:.2f} of the sum of their variances"
        )


def _places(pair: NetworkComparison) -> str:
    """Both networks and both checkpoints; where the two sides agree, named once."""
    sides = (pair.first, pair.second)
    words = ([legible(n.arch_label) for n in sides], [legible(n.checkpoint.name) for n in sides])
    return ", ".join(" and ".join(dict.fromkeys(both)) for both in words)


def _networks(comparison: Comparison) -> Table:
    names = ("runs", "train seeds", "attack seeds", "both", "A only", "B only", "neither")
    table = table_of(*names, "A %", "B %", "difference", "p")
    for n in comparison.networks:
        t = n.every.table
        add_row(
            table,
            f"{_number(n.first.number)}, {_number(n.second.number)}",
            _train_seeds(n),
            _attack_seeds(n),
            *map(str, (t.both, t.first_only, t.second_only, t.neither)),
            *(f"{t.first_percent:.2f}", f"{t.second_percent:.2f}"),
            f"{t.difference:+.2f} {interval_text(n.interval, sign=True)}",
            p_text(n.every.p),
        )
    return table


def _by_seed(comparison: Comparison) -> Table:
    seeds = sorted({seed for network in comparison.networks for seed in network.by_seed})
    table = table_of("train seeds", *(f"attack seed {seed}" for seed in seeds))
    for n in comparison.networks:
        found = (n.by_seed.get(seed) for seed in seeds)
        add_row(table, _train_seeds(n), *(f"{t.table.difference:+.2f} ({p_text(t.p)})" if t else "-" for t in found))
    return table


def _classes(comparison: Comparison) -> Table:
    held = [network.classes or {} for network in comparison.networks]
    table = table_of("class", "images", *(f"train seeds {_train_seeds(n)}" for n in comparison.networks))
    for name, tested in held[0].items():
        differences = (f"{c[name].table.difference:+.1f}{_star(c[name])}" for c in held)
        add_row(table, legible(name), str(tested.table.examples), *differences)
    return table


def _star(tested: Tested) -> str:
    """A mark where the difference is significant; a blank where it is not."""
    return "*" if tested.p_holm is not None and tested.p_holm < ALPHA else " "


def alike_parts(comparison: Comparison, found: Alike) -> Iterator[RenderableType]:
    """Whether two entrants are alike within a margin: the methods, then network by network."""
    margin = f"{found.margin:g} point" + "s" * (found.margin != 1)
    yield bold_line(f"\nNo worse by {margin}, the margin that you gave? Two one-sided tests, each at {100 * ALPHA:g} %")
    yield text_line("They are alike if both are no worse: the 90 % interval then lies within the margin")
    table = table_of("what", "n", "A no worse", "B no worse", "alike", "difference, 90 %")
    rows = [(f"networks of train seeds {_train_seeds(n)}", "test images", n) for n in comparison.networks]
    if found.methods is not None:
        add_row(table, "methods", f"{found.methods.n} training seeds", *_sided(found.methods))
    for (what, unit, _), equivalence in zip(rows, found.networks, strict=True):
        add_row(table, what, f"{equivalence.n} {unit}", *_sided(equivalence))
    yield table
    if found.methods is None:
        yield text_line("  The methods: no test; it needs two training seeds a side, and a spread among them")


def _sided(found: Equivalence) -> list[str]:
    ps = ((found.not_worse, found.p_not_worse), (found.not_better, found.p_not_better))
    told = [f"{'yes' if shown else 'not shown'}, p {p_text(p, equals='= ')}" for shown, p in ps]
    return [*told, "yes" if found.equivalent else "not shown", interval_text(found.interval, sign=True)]


def resolution_parts(found: Resolution) -> Iterator[RenderableType]:
    """What the training seeds of two entrants can tell, and how many seeds a difference needs."""
    sides, noise, level = found.sides, found.noise, f"{100 * found.alpha:g} %"
    yield bold_line(
        "\nWhat training seeds can tell (unit: the training seed; images and attack seeds are not drawn anew)"
    )
    for side, accuracies in (("A", sides.first), ("B", sides.second)):
        yield text_line(f"  {side}, seed by seed: {', '.join(f'{accuracy:.2f}' for accuracy in accuracies)}")
    interval = f"[{noise.interval.low:.2f}, {noise.interval.high:.2f}]"
    yield text_line(
        f"  The difference of one network each has deviation {noise.std:.2f} {interval}, 95 %, from"
        f" {f'n = {sides.seeds} differences paired by seed' if sides.paired else 'both deviations, not paired'}"
    )
    for side, variance in zip("AB", found.variances, strict=True):
        yield text_line(f"  {side}: {_variance_text(variance)}")
    chance = f"{100 * found.power:g} %"
    yield text_line(f"A test at {level} finds a true difference with a chance of {chance}, if that is the deviation")
    table = table_of("difference", "seeds a method", "seeds, if the deviation is at its upper end", "level shared by")
    for row in found.smallest:
        add_row(table, f"{row.difference:.2f}, the smallest", f"{row.seeds}, these", "-", _family(row))
    for row in found.needed:
        add_row(table, f"{row.difference:g}", _seeds_text(row.seeds), _seeds_text(row.most_seeds), _family(row))
    yield table


def _variance_text(found: SeedVariance | None) -> str:
    if found is None:
        return "the accuracies do not vary, or their attack seeds differ: no share of the test set"
    low, high = (100 * end for end in (found.interval.low, found.interval.high))
    return (
        f"of the variance over seeds {100 * found.share:.0f} % [{low:.0f}, {high:.0f}] is that of the {found.examples}"
        f" test images; ever more images would leave deviation {found.lasting:.2f} of {found.std:.2f}"
    )


def _seeds_text(seeds: int | None) -> str:
    return f"over {MOST_SEEDS}" if seeds is None else str(seeds)


def _family(row: Detectable) -> str:
    return "this test alone" if row.comparisons == 1 else f"all {row.comparisons} pairs of the board"


def family_parts(families: Sequence[Family]) -> Iterator[RenderableType]:
    """All pairs of rows, board by board."""
    for family in families:
        count, corrected = len(family.pairs), len(family.tested)
        yield bold_line(f"{family.board.heading}: {title_of(family.column.name)}, {count} pairs")
        table = table_of("first", "second", "difference", "test", "n", "p", f"p, Holm over {corrected}", "significant")
        for names, decision in itertools.islice(family.pairs.items(), MOST_PAIRS):
            first, second = map(legible, names)
            if decision is None:
                add_row(table, first, second, "-", "-", "-", "-", "-", "not compared")
                continue
            interval = interval_text(decision.interval, sign=True)
            ps = (p_text(decision.p), p_text(decision.p_holm), "yes" if decision.significant else "no")
            difference = f"{decision.difference:+.2f} {interval}".rstrip()
            add_row(table, first, second, difference, decision.test, decision.over, *ps)
        yield table
        if count > MOST_PAIRS:
            yield Text(f"The pairs of the best rows come first; {count - MOST_PAIRS} more are in --json.")
        yield from map(text_line, family.notes)
    nothing = "No board of two or more measured rows matches; `harness leaderboard` shows what there is"
    decisions = [decision for family in families for decision in family.tested]
    welch = any(decision.test == WELCH for decision in decisions)
    also = f"paired t and {WELCH} also give" if welch else "paired t also gives"
    legend = f"A difference is the first minus the second, in points; {also} a 95 % interval. {rule(decisions)}"
    yield text_line(legend if families else nothing)


def vulnerable_parts(found: Sequence[Vulnerable]) -> Iterator[RenderableType]:
    """How far the sets of most vulnerable images agree: one line for each pair of evaluations."""
    one = found[0]
    sets = one.seeds[0].sets
    yield bold_line(
        f"{one.names[0]} and {one.names[1]}: the {len(sets.first)} most vulnerable of"
        f" {one.columns[0].images.described(one.networks[0].dataset.test_examples)} of {one.networks[0].dataset.name}"
    )
    yield from map(text_line, one.notes)
    table = table_of("runs", "attack", "attack seed", "in both", "overlap", "if independent", "Jaccard")
    for pair in found:
        runs = ", ".join(dict.fromkeys(_number(network.number) for network in pair.networks))
        attacks = ", ".join(dict.fromkeys(column.name for column in pair.columns))
        for seed in pair.seeds:
            s = seed.sets
            shares = (f"{s.overlap:.3f}", f"{s.expected:.3f}", f"{s.jaccard:.3f}")
            add_row(table, runs, attacks, str(seed.seed), str(s.shared), *shares)
    yield table
    yield text_line(
        "V = p_y(x_adv) - max over i != y of p_i(x_adv); smaller is more vulnerable; among equal V the first image"
        " counts. overlap: the share of one set that is in the other; unit: these networks on these images"
    )


def _attack_seeds(network: NetworkComparison) -> str:
    """The attack seeds, as in ``0-4``; for several attacks, one line each."""
    texts = {}
    for attack, seeds in network.attack_seeds.items():
        whole = seeds == list(range(seeds[0], seeds[-1] + 1)) and len(seeds) > 1
        texts[attack] = f"{seeds[0]}-{seeds[-1]}" if whole else " ".join(map(str, seeds))
    return next(iter(texts.values())) if len(texts) == 1 else "\n".join(f"{a} {text}" for a, text in texts.items())


def p_text(p: float, equals: str = "") -> str:
    """A p-value with three decimals, or ``< 0.001``."""
    return f"{equals}{p:.3f}" if p >= 0.0005 else "< 0.001"


def _train_seeds(network: NetworkComparison) -> str:
    return f"{_number(network.first.train_seed)}, {_number(network.second.train_seed)}"


def _number(of_run: int | None) -> str:
    """A run's number or training seed; a dash for a model from elsewhere, which has none."""
    return "-" if of_run is None else str(of_run)

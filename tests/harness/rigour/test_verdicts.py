"""The checks of stored verdicts: by hand, on the paper's figures, on the published networks, on AutoAttack's texts."""

from __future__ import annotations

import shutil
import sys
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, cast

import pytest
import torch
from torch import Tensor, nn

from harness.data.digits import Digits
from harness.events import Finding
from harness.plugin.attack import Attack, AttackKind, Passes
from harness.plugin.threat import Threat
from harness.reference import lrat_paper
from harness.registry.catalogue import discover
from harness.rigour.checks import examine_verdicts
from harness.rigour.record import Record
from harness.rigour.warned import KINDS, kind_of
from harness.store.store import Store

ROOT = Path(__file__).parents[3]
EXAMPLES = {"cifar10": 10_000, "svhn": 26_032}
SHIPPED = {name: cast(type[Attack], found.cls) for name, found in discover("attacks").found.items()}


def verdicts(n: int, *right: tuple[int, int]) -> bytes:
    """Right on the given ranges of images, wrong on all others."""
    chosen = {i for start, end in right for i in range(start, end)}
    return bytes(int(i in chosen) for i in range(n))


def examined(
    stored: Mapping[str, Sequence[bytes]],
    labels: Sequence[int] | None = None,
    warned: Mapping[str, Sequence[str]] | None = None,
    block: int | None = None,
    types: Mapping[str, type[Attack]] = SHIPPED,
) -> dict[str, Finding]:
    n = len(next(iter(stored.values()))[0])
    labels = [i % 10 for i in range(n)] if labels is None else labels
    return {f.check: f for f in examine_verdicts(stored, types, labels, warned or {}, block)}


def test_the_gap_by_hand() -> None:
    findings = examined({"pgd": [verdicts(1000, (0, 500))], "autoattack": [verdicts(1000, (0, 400))]})
    gap = findings["autoattack-gap"]
    assert gap.status == "flagged"
    assert gap.mark == "A"
    assert (gap.value, gap.threshold) == (0.2, 0.15)
    assert gap.reason.startswith("AutoAttack breaks 20.0 % of the 500 images that pgd leaves (10.0 points): more than")
    assert gap.details["pgd"]["broken"] == 100


def test_the_gap_of_several_seeds_is_the_mean_over_their_pairs() -> None:
    pgd = [verdicts(100, (0, 50)), verdicts(100, (0, 40))]
    autoattack = [verdicts(100, (0, 30)), verdicts(100, (10, 40))]
    # lost: 20, 20, 10, 10 of 50, 50, 40, 40
    gap = examined({"pgd": pgd, "autoattack": autoattack})["autoattack-gap"].details["pgd"]
    assert gap["share"] == pytest.approx(15 / 45)
    assert gap["points"] == pytest.approx(15.0)


@pytest.mark.parametrize(
    ("n", "left", "kept", "status"),
    [
        pytest.param(50, 25, 20, "passed", id="20 % of 25 images may be chance"),
        pytest.param(1000, 500, 420, "passed", id="16 %, whose lower bound is below 15 %"),
        pytest.param(10_000, 5000, 4200, "flagged", id="16 % of many"),
        pytest.param(10_000, 5000, 4300, "passed", id="14 % of many"),
        pytest.param(10_000, 100, 0, "passed", id="all of what is left, which is 1 point"),
        pytest.param(100, 0, 0, "not-applicable", id="nothing is left"),
    ],
)
def test_the_gap_is_flagged_beyond_chance_and_where_it_matters(n: int, left: int, kept: int, status: str) -> None:
    stored = {"pgd": [verdicts(n, (0, left))], "autoattack": [verdicts(n, (0, kept))]}
    assert examined(stored)["autoattack-gap"].status == status


def test_the_alarm_on_the_papers_figures() -> None:
    """GAIRAT and GAIR-TRADES raise it in each reported row; SAT and TRADES, plain adversarial training, in none."""
    rows: dict[tuple[str, ...], dict[str, float]] = defaultdict(dict)
    for figure in lrat_paper.figures():
        key = (figure.method, figure.dataset, figure.network, figure.checkpoint, figure.paper_table)
        rows[key][figure.metric] = figure.median_percent
    raised = defaultdict(set)
    for (method, dataset, *_), row in rows.items():
        n = EXAMPLES[dataset]
        pgd, autoattack = (verdicts(n, (0, round(n * row[metric] / 100))) for metric in ("pgd", "autoattack"))
        raised[method].add(examined({"pgd": [pgd], "autoattack": [autoattack]})["autoattack-gap"].status)
    assert raised["gairat"] == raised["gair-trades"] == {"flagged"}
    assert raised["sat"] == raised["trades"] == {"passed"}


def test_the_alarm_on_the_published_networks(tmp_path: Path) -> None:
    """Each network's findings are the stored ones, to the word; gairat and gair-trades alone raise the alarm."""
    store = Store.read(str(shutil.copy(ROOT / "leaderboard.db", tmp_path / "copy.db")))
    labels = Digits().load(tmp_path).test.labels
    raised: dict[str, list[str]] = defaultdict(list)
    for run in store.runs():
        checkpoint = run.checkpoint("last")
        assert checkpoint is not None
        stored: dict[str, list[bytes]] = defaultdict(list)
        warned: dict[str, list[str]] = defaultdict(list)
        for evaluation in checkpoint.evaluations:
            stored[evaluation.attack].append(store.verdicts(evaluation.id))
            warned[evaluation.attack].extend(evaluation.warnings)
        findings = examine_verdicts(stored, SHIPPED, labels, warned)  # the stored reasons are older than names
        (examination,) = (e for e in checkpoint.examinations if e.settings["kind"] == "verdicts")
        assert tuple(findings) == examination.findings
        raised[run.method] += [finding.check for finding in findings if finding.status == "flagged"]
    store.close()
    assert {method: checks for method, checks in raised.items() if checks} == {
        "gairat": ["autoattack-gap"] * 5,
        "gair-trades": ["autoattack-gap"] * 5,
    }


class Plugin(Attack):
    """An attack that does not ship; what it is, a subclass declares."""

    def perturb(self, model: nn.Module, x: Tensor, y: Tensor, threat: Threat, generator: torch.Generator) -> Tensor:
        raise NotImplementedError  # its verdicts are at hand

    def passes(self, threat: Threat) -> Passes:
        return Passes()


class Silent(Plugin):
    pass


class Ascent(Plugin):
    kind: ClassVar[AttackKind] = "white-box"


class Search(Plugin):
    kind: ClassVar[AttackKind] = "black-box"


class Suite(Plugin):
    kind: ClassVar[AttackKind] = "ensemble"


class Clean(Plugin):
    kind: ClassVar[AttackKind] = "clean"


def test_a_plugin_s_attack_takes_the_part_that_it_declares() -> None:
    """Each check by hand, of attacks with names that the engine has not heard of."""
    weak, strong = verdicts(1000, (0, 500)), verdicts(1000, (100, 400))

    def found(check: str, **attacks: tuple[type[Attack], bytes]) -> tuple[str, float | None, str]:
        stored = {name: [given] for name, (_, given) in attacks.items()}
        finding = examined(stored, types={name: cls for name, (cls, _) in attacks.items()})[check]
        return finding.status, finding.value, finding.reason.partition(": ")[0]

    assert found("square-stronger", climb=(Ascent, weak), seek=(Search, strong)) == (
        "flagged",
        0.2,
        "Search alone breaks 20.0 % of the images, which climb leave",
    )
    assert found("square-stronger", pgd=(SHIPPED["pgd"], weak), seek=(Search, strong))[0] == "flagged"
    assert found("autoattack-gap", climb=(Ascent, weak), all=(Suite, strong)) == (
        "flagged",
        0.4,
        "Suite breaks 40.0 % of the 500 images that climb leaves (20.0 points)",
    )
    assert found("autoattack-misses", seek=(Search, strong), all=(Suite, weak)) == (
        "flagged",
        0.2,
        "Suite leaves 20.0 % of the images, which seek break",
    )
    assert found("robust-above-clean", same=(Clean, strong), seek=(Search, weak))[:2] == ("flagged", 0.2)


def test_an_attack_that_declares_nothing_is_left_out_where_a_kind_is_asked_for() -> None:
    """No mark rests on a guess: neither on a plugin that declares nothing, nor on one that is no longer there."""
    stored = {name: [verdicts(1000, (0, end))] for name, end in {"pgd": 500, "autoattack": 480, "mine": 900}.items()}
    declared: list[dict[str, type[Attack]]] = [SHIPPED, {**SHIPPED, "mine": Silent}]
    for types in declared:
        gaps = examined(stored, types=types)["autoattack-gap"]
        assert (gaps.status, set(gaps.details)) == ("passed", {"pgd"})
        assert examined(stored, types=types)["square-stronger"].status == "not-applicable"
    broken = {**stored, "mine": [verdicts(1000, (0, 400))]}  # which takes no knowledge of what it is
    assert examined(broken)["autoattack-misses"].details == {"pgd": 0, "mine": 80}


def test_of_several_ensembles_the_strongest_is_compared_with() -> None:
    stored = {
        "pgd": [verdicts(100, (0, 60))],
        "suite": [verdicts(100, (0, 30))],
        "autoattack": [verdicts(100, (0, 40))],
    }
    found = examined(stored, types={**SHIPPED, "suite": Suite})
    assert found["autoattack-gap"].value == 0.5
    assert found["autoattack-misses"].details == {"pgd": 0, "autoattack": 0}


def test_square_alone() -> None:
    gradient = {"pgd": [verdicts(1000, (0, 800)), verdicts(1000, (0, 790))], "cw": [verdicts(1000, (0, 780))]}
    weak = examined({**gradient, "square": [verdicts(1000, (20, 1000))]})["square-stronger"]
    strong = examined({**gradient, "square": [verdicts(1000, (100, 1000)), verdicts(1000, (90, 900))]})
    assert (weak.status, weak.value) == ("passed", 0.02)
    assert (strong["square-stronger"].status, strong["square-stronger"].value) == ("flagged", 0.1)
    assert examined(gradient)["square-stronger"].status == "not-applicable"


def test_square_alone_on_few_images_may_be_chance() -> None:
    found = examined({"pgd": [verdicts(15, (0, 15))], "square": [verdicts(15, (1, 15))]})["square-stronger"]
    assert (found.status, found.value) == ("passed", 1 / 15)


def test_of_an_even_number_of_seeds_the_lower_of_the_middle_two_stands_for_them() -> None:
    seeds = [verdicts(10, (0, right)) for right in (9, 3, 5, 7)]
    assert int(Record.of({"pgd": seeds}, {}, [0] * 10, {}, None).median_seed("pgd").sum()) == 5
    assert int(Record.of({"pgd": seeds[1:]}, {}, [0] * 10, {}, None).median_seed("pgd").sum()) == 5


def test_images_that_autoattack_misses() -> None:
    stored = {"autoattack": [verdicts(1000, (0, 500)), verdicts(1000, (0, 510))], "pgd": [verdicts(1000, (30, 1000))]}
    found = examined(stored)["autoattack-misses"]
    assert (found.status, found.value, found.details) == ("flagged", 0.03, {"pgd": 30})
    assert examined({**stored, "pgd": [verdicts(1000, (3, 1000))]})["autoattack-misses"].status == "passed"


def test_robust_accuracy_above_the_clean_one() -> None:
    clean, above, level = (verdicts(1000, (0, end)) for end in (700, 720, 704))
    assert examined({"natural": [clean], "pgd": [above]})["robust-above-clean"].value == pytest.approx(0.02)
    assert examined({"natural": [clean], "pgd": [above]})["robust-above-clean"].status == "flagged"
    assert examined({"natural": [clean], "pgd": [level]})["robust-above-clean"].status == "passed"
    assert examined({"pgd": [level]})["robust-above-clean"].status == "not-applicable"


@pytest.mark.parametrize(
    ("attack", "right", "of", "status"),
    [
        pytest.param("natural", 40, 100, "passed", id="clean, 40 of 100, may be half of the whole"),
        pytest.param("natural", 25, 100, "flagged", id="clean, far below half of the whole"),
        pytest.param("autoattack", 25, 100, "passed", id="attacked, a weak class"),
        pytest.param("autoattack", 3, 100, "flagged", id="attacked, a class with hardly a part in it"),
        pytest.param("autoattack", 0, 5, "passed", id="attacked, none of five images"),
    ],
)
def test_a_class_that_is_left_behind(attack: str, right: int, of: int, status: str) -> None:
    others = 900
    labels = [0] * of + [1 + i % 9 for i in range(others)]
    found = examined({attack: [verdicts(of + others, (0, right), (of, of + others * 9 // 10))]}, labels)
    assert found["class-left-behind"].status == status


def test_a_broken_network_has_no_class_to_leave_behind() -> None:
    assert examined({"pgd": [verdicts(100)]})["class-left-behind"].status == "not-applicable"


@pytest.fixture
def caught() -> Iterator[Callable[[Callable[[], object]], str]]:
    """The one warning that a call of the package's raises; it switches tracing off, which is put back."""
    trace = sys.gettrace()

    def call(check: Callable[[], object]) -> str:
        with warnings.catch_warnings(record=True) as texts:
            warnings.simplefilter("always")
            check()
        (text,) = texts
        return str(text.message)

    yield call
    sys.settrace(trace)


def test_autoattack_s_own_texts_are_known(caught: Callable[[Callable[[], object]], str]) -> None:
    """Each kind against what the package says, since a new version may word it anew."""
    from pyautoattack import checks

    x, y = torch.rand(8, 4), torch.zeros(8, dtype=torch.int64)

    def takes_gradients(images: torch.Tensor) -> torch.Tensor:
        leaf = images.clone().requires_grad_()
        torch.autograd.grad(leaf.sum(), leaf)
        return images

    told = {
        "autoattack-random": caught(lambda: checks.check_randomized(lambda images: torch.rand(8, 4), x, y)),
        "autoattack-probabilities": caught(lambda: checks.check_range_output(lambda images: images.softmax(1), x)),
        "autoattack-dynamic": caught(lambda: checks.check_dynamic(takes_gradients, x)),
        "autoattack-zero-gradient": caught(lambda: checks.check_zero_gradients(torch.eye(8)[:6].repeat(2, 1)[:, :3])),
        "autoattack-square": caught(lambda: checks.check_square_sr({"apgd-ce": 0.5, "fab-t": 0.5, "square": 0.4})),
    }
    assert {kind: kind_of(text) for kind, text in told.items()} == {
        kind: kind for kind in KINDS if kind != "autoattack-other"
    }
    square = examined({"autoattack": [verdicts(100)]}, warned={"autoattack": [told["autoattack-square"]]})[
        "autoattack-square"
    ]
    assert (square.value, square.status) == (0.1, "flagged")
    zero = examined({"autoattack": [verdicts(100)]}, warned={"autoattack": [told["autoattack-zero-gradient"]]})
    assert zero["autoattack-zero-gradient"].value == 0.06


SQUARE = "Square Attack has decreased the robust accuracy of {:.2%}. This might indicate that"


@pytest.mark.parametrize(
    ("share", "n", "block", "value", "status"),
    [
        pytest.param(1 / 360, 360, None, 1 / 360, "passed", id="one image"),
        pytest.param(3 / 360, 360, None, 3 / 360, "passed", id="three: what sound networks show"),
        pytest.param(12 / 360, 360, None, 12 / 360, "flagged", id="twelve"),
        pytest.param(0.02, 10_000, 500, 0.02, "flagged", id="ten of a block"),
        pytest.param(0.014, 10_000, 500, 0.014, "passed", id="seven of a block: the text is of the block alone"),
    ],
)
def test_square_s_share_is_judged_by_the_block_that_it_is_of(
    share: float, n: int, block: int | None, value: float, status: str
) -> None:
    texts = ["Square Attack has decreased the robust accuracy of 0.20%. This", SQUARE.format(share)]
    found = examined({"autoattack": [verdicts(n)]}, warned={"autoattack": texts}, block=block)["autoattack-square"]
    assert found.status == status
    assert found.value == pytest.approx(value)
    assert found.details["texts"] == texts


def test_warnings_are_findings_with_their_texts() -> None:
    texts = ["it seems to be a randomized defense! Please", "something else"]
    found = examined({"autoattack": [verdicts(10)]}, warned={"autoattack": texts})
    assert {name for name, f in found.items() if f.mark == "W"} == {"autoattack-random", "autoattack-other"}
    assert found["autoattack-random"].reason == f"AutoAttack warned: {texts[0]}"
    assert found["autoattack-other"].details == {"texts": ["something else"]}
    assert found["autoattack-dynamic"].status == "passed"
    without = examined({"pgd": [verdicts(10)]})
    assert without["autoattack-random"].reason == "it needs verdicts under autoattack"


def test_verdicts_of_another_number_of_images_are_refused() -> None:
    with pytest.raises(ValueError, match=r"pgd has verdicts of \[9\] images, and there are 10 labels"):
        examine_verdicts({"pgd": [verdicts(9)]}, SHIPPED, range(10), {})

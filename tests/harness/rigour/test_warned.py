"""What AutoAttack warns of: its own texts are known, and each warning is a finding."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator

import pytest
import torch

from harness.rigour.warned import KINDS, kind_of
from tests.harness.rigour.stored import examined, verdicts


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

"""A run's page in Chromium shows what its training recorded: every point, in charts, in words, and in a table."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.events import CurvePoint, EpochRecord, Part
from harness.store.store import Store
from tests.harness.site.conftest import Visit
from tests.harness.site.faults import faults
from tests.harness.site.made import written
from tests.stores import make_spec, start

pytestmark = pytest.mark.browser

COUNTS: dict[Part, dict[str, tuple[int, ...]]] = {
    "test": {"natural": (64, 96, 112), "pgd": (32, 48, 40), "cw": (32, 40, 40)},
    "train": {"natural": (64, 112, 128), "pgd": (32, 64, 96), "cw": (32, 56, 88)},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of run 1, which recorded after the epochs 2, 4, and 6, and of run 2, which recorded nothing."""
    place = tmp_path_factory.mktemp("recorded")
    store = Store.write(str(place / "mine.db"))
    run, bare = start(store, make_spec()), start(store, make_spec(train_seed=1))
    for epoch in range(1, 7):
        points = tuple(
            CurvePoint(part, attack, {}, 128, counts[epoch // 2 - 1], 0.1)
            for part, attacks in COUNTS.items()
            for attack, counts in attacks.items()
            if epoch % 2 == 0
        )
        store.add_epoch(run.id, EpochRecord(epoch, 1.0 / epoch, 0.1, 128, 1.0, {}, (), points))
        store.add_epoch(bare.id, EpochRecord(epoch, 1.0 / epoch, 0.1, 128, 1.0))
    for each in (run, bare):
        store.end_run(each.id)
    store.close()
    return written(place / "mine.db", place / "site")


def test_the_curves_are_drawn_said_and_in_a_table(visit: Visit, folder: Path) -> None:
    page = visit(f"{(folder / 'run.html').as_uri()}#run=1")
    section = page.locator("section", has=page.get_by_role("heading", name="Accuracy during training", exact=True))
    section.locator("canvas").nth(1).wait_for(state="attached")
    assert section.locator("canvas").count() == 2
    assert section.locator("figcaption").all_inner_texts() == [
        "Right of 128 test images, in percent; after epoch 6: natural 87.5 %, pgd 31.2 % (6.2 points below its best,"
        " after epoch 4), cw 31.2 %",
        "Right of 128 training images, in percent; after epoch 6: natural 100.0 %, pgd 75.0 %, cw 68.8 %",
    ]
    assert (
        section.locator(".chart").first.get_attribute("aria-label") == section.locator("figcaption").first.inner_text()
    )
    section.locator("summary").click()
    heads = section.locator(".scroll thead th").all_inner_texts()
    names = [f"{attack}, of 128 {words}" for words in ("test", "training") for attack in COUNTS["test"]]
    assert [head.lower() for head in heads] == ["epoch", *names]
    shown = [row.locator("th, td").all_inner_texts() for row in section.locator(".scroll tbody tr").all()]
    assert shown == [
        [str(2 * i + 2), *(str(counts[i]) for held in COUNTS.values() for counts in held.values())] for i in range(3)
    ]


def test_a_run_without_records_has_no_such_section(visit: Visit, folder: Path) -> None:
    page = visit(f"{(folder / 'run.html').as_uri()}#run=2")
    assert page.get_by_role("heading", name="Training", exact=True).count() == 1
    assert page.get_by_text("Accuracy during training").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_has_no_serious_fault(visit: Visit, folder: Path, scheme: str, width: int) -> None:
    address = f"{(folder / 'run.html').as_uri()}#run=1"
    page = visit(address, color_scheme=scheme, viewport={"width": width, "height": 900})
    page.locator("summary", has_text="These points").click()
    assert faults(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width

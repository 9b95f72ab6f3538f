"""What the store says of findings that an older version of ``autoattack-gap`` judged by the share alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.events import Finding
from harness.store.older_findings import as_said_now
from harness.store.store import Store
from tests.stores import add_checkpoint, make_spec, start

PGD = {"share": 0.2, "lower_bound": 0.17, "points": 10.0, "broken": 100, "left": 500}
CW = PGD | {"share": 0.25, "points": 11.0, "left": 400}
NOW = (
    "AutoAttack breaks 25.0 % of the 400 images that cw leaves (11.0 points); by itself it is not judged: a leaderboard"
    " compares it with sat"
)


def older(status: str, reason: str, details: dict[str, Any], check: str = "autoattack-gap") -> Finding:
    return Finding(check, status, "A" if status == "flagged" else "", 0.2, 0.15, reason, details)  # type: ignore[arg-type]


@pytest.mark.parametrize("status", ["flagged", "passed", "not-applicable"])
def test_the_judgement_goes_and_what_was_measured_stays(status: str) -> None:
    details = {"pgd": PGD, "cw": CW}
    told = as_said_now(older(status, "AutoAttack breaks 20.0 % of the 500 images that pgd leaves: more than", details))
    assert told == Finding("autoattack-gap", "not-applicable", "", 0.25, None, NOW, details)
    assert as_said_now(told) == told


def test_where_nothing_was_measured_the_reason_stays() -> None:
    told = as_said_now(older("not-applicable", "pgd leaves nothing to break", {}))
    assert (told.status, told.reason, told.value) == ("not-applicable", "pgd leaves nothing to break", None)


@pytest.mark.parametrize("details", [{}, {"pgd": {"share": "much"}}])
def test_a_flag_without_its_data_is_no_flag(details: dict[str, Any]) -> None:
    told = as_said_now(older("flagged", "AutoAttack breaks more", details))
    assert (told.status, told.mark, told.value) == ("not-applicable", "", None)
    assert "more" not in told.reason


def test_every_other_finding_is_as_it_was() -> None:
    finding = older("flagged", "why", {"pgd": PGD}, check="square-stronger")
    assert as_said_now(finding) is finding


def test_the_store_reads_them_so_in_each_way_and_keeps_what_it_has(tmp_path: Path) -> None:
    store = Store.write(str(tmp_path / "older.db"))
    run = start(store, make_spec())
    checkpoint = add_checkpoint(store, run)
    store.add_examination(
        checkpoint.id, {"kind": "verdicts"}, [older("flagged", "AutoAttack breaks", {"cw": CW})], 1.0, {}
    )
    for record in (store.run(run.id), *store.runs(), *store.runs_of([run.id])):
        (finding,) = record.checkpoints[0].examinations[0].findings
        assert (finding.status, finding.reason) == ("not-applicable", NOW)
    with store._engine.begin() as connection:
        assert connection.exec_driver_sql("SELECT status, mark FROM findings").all() == [("flagged", "A")]
    store.close()

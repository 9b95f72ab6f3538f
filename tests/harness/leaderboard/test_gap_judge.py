"""``autoattack-gap`` on a board: with what a network is compared, and where it is not judged."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from harness.events import Finding
from harness.leaderboard.board import Row, Selection
from harness.leaderboard.cells import flag_lines, flags_text
from harness.leaderboard.ranking import boards
from harness.leaderboard.render_json import row_document
from harness.leaderboard.tidy import tidy_rows
from harness.store.older_findings import as_said_now
from harness.store.records import CheckpointRecord, ExaminationRecord, RunRecord
from tests.harness.leaderboard.held import ATTACKS, Held, checkpoint, evaluation, model, run

SCOPE = {"kind": "verdicts", "edition": 2, "epsilon": 0.2, "examples": 200, "attacks": ATTACKS}
AWP: dict[str, Any] = {"wrappers": [{"name": "awp", "departures": {}}]}


def gap(broken: int, left: int = 100, status: str = "passed") -> Finding:
    kept = {"share": broken / left, "lower_bound": 0.0, "points": broken / 2, "broken": broken, "left": left}
    mark = "A" if status == "flagged" else ""
    return Finding("autoattack-gap", status, mark, 0.1, 0.15, "AutoAttack breaks", {"pgd": kept})  # type: ignore[arg-type]


def attacked(*findings: Finding, **changes: Any) -> CheckpointRecord:
    examination = ExaminationRecord(SCOPE, datetime(2026, 1, 3), 1.0, {}, findings)
    return replace(checkpoint(evaluation("autoattack", 50), **changes), examinations=(examination,))


def trained(number: int, broken: int, method: str = "sat", **changes: Any) -> RunRecord:
    """A run of which AutoAttack breaks so many of the 100 images that PGD leaves, of 200."""
    return run(number, attacked(gap(broken)), method=method, train_seed=number, **changes)


def rows(*runs: RunRecord, selection: Selection | None = None, models: Any = ()) -> dict[str, Row]:
    (board,) = boards(Held(runs, models=models), selection)
    return {row.label: row for row in board.rows}


def marks(*runs: RunRecord) -> dict[str, str]:
    return {label: flags_text(row) for label, row in rows(*runs).items()}


def test_a_network_is_flagged_beside_sat_and_not_by_its_share() -> None:
    """Half of what PGD leaves is no flag where plain adversarial training loses 30 %, and one where it loses 10 %."""
    assert marks(trained(1, 30), trained(2, 50, "gairat"))["gairat"] == "none"
    found = rows(trained(1, 10), trained(2, 50, "gairat"), trained(3, 19, "lrat"))
    assert {label: flags_text(row) for label, row in found.items()} == {"gairat": "A", "lrat": "none", "sat": "A?"}
    (flag,) = found["gairat"].flags or ()
    assert (flag.check, flag.networks, flag.of) == ("autoattack-gap", 1, 1)
    assert flag.reason.startswith(
        "AutoAttack breaks 50.0 % of the 100 images that pgd leaves (25.0 points), [41.4, 58.6]"
    )
    assert "; of sat 10.0 % [5.5, 16.4] of the 100 that pgd leaves (1 network): 5.0 times that" in flag.reason


def test_what_is_stored_as_a_flag_is_judged_anew() -> None:
    old = run(2, attacked(as_said_now(gap(16, status="flagged"))), method="trades")
    assert marks(trained(1, 12), old)["trades"] == "none"
    assert marks(old) == {"trades": "A?"}


def test_each_network_of_a_row_is_judged_and_sat_beside_its_other_seeds() -> None:
    found = rows(trained(1, 10), trained(2, 12), trained(3, 60), trained(4, 40, "gairat"), trained(5, 10, "gairat"))
    (of_sat,) = found["sat"].flags or ()
    assert (of_sat.networks, of_sat.of) == (1, 3)  # the third, beside a mean of 11
    assert "(2 networks, 10.0 to 12.0 %)" in of_sat.reason
    assert found["gairat"].flags == ()  # beside a mean of 27


def test_without_sat_of_the_same_network_wrappers_and_checkpoint_nothing_is_judged() -> None:
    other = trained(1, 10, network="resnet18")
    wrapped = trained(2, 10, **AWP)
    early = run(3, attacked(gap(10), name="early"))
    edited = trained(4, 10, code={"method": "0123456789abcdef"})
    scaled = trained(5, 10, method_departures={"beta": 2})
    for alone in (other, wrapped, early, edited, scaled):
        (not_judged,) = rows(alone, trained(6, 60, "gairat"))["gairat"].not_judged
        assert not_judged.reason.endswith(
            "(30.0 points); not judged: this board has no sat of the same network and checkpoint to compare with"
        )
    assert marks(wrapped, trained(6, 60, "gairat", **AWP))["gairat+awp"] == "A"
    assert marks(trained(7, 10, code={"method": "version 2"}), trained(6, 60, "gairat"))["gairat"] == "A"
    (of_wrapped,) = rows(trained(6, 60, "gairat", **AWP))["gairat+awp"].not_judged
    assert "this board has no sat+awp of" in of_wrapped.reason


def test_a_model_from_elsewhere_is_not_judged() -> None:
    theirs = replace(model("theirs", evaluation("autoattack", 40)), checkpoint=attacked(gap(60)))
    (not_judged,) = rows(trained(1, 10), models=[theirs])["theirs"].not_judged
    assert not_judged.reason.endswith("not judged: a model from elsewhere has no sat that was trained as it was")


def test_a_baseline_that_is_flagged_itself_is_none() -> None:
    masked = Finding("zero-gradient", "flagged", "Z", 0.5, 0.01, "no gradient", {})
    behind = Finding("class-left-behind", "flagged", "Y", 0.0, None, "no cat", {})
    found = rows(run(1, attacked(gap(10), masked)), trained(2, 60, "gairat"))
    assert found["gairat"].not_judged[0].reason.endswith("is itself flagged (zero-gradient)")
    assert marks(run(1, attacked(gap(10), behind)), trained(2, 60, "gairat"))["gairat"] == "A"


def test_where_sat_leaves_few_images_or_was_not_examined_nothing_is_judged() -> None:
    few = run(1, attacked(gap(2, left=19)))
    bare = run(1, evaluation("autoattack", 50))
    for beside in (few, bare):
        (not_judged,) = rows(beside, trained(2, 60, "gairat"))["gairat"].not_judged
        assert not_judged.reason.endswith("not judged: of sat no gap is known of 20 images or more")


def test_two_points_are_asked_for_before_a_baseline_is() -> None:
    assert marks(run(1, attacked(gap(3, left=3)), method="standard")) == {"standard": "none"}  # 1.5 points
    assert marks(run(1, attacked(gap(4, left=4)), method="standard")) == {"standard": "A?"}  # 2 points


def test_damaged_details_are_told() -> None:
    damaged = replace(gap(60), details={"pgd": {"share": "much"}})
    found = rows(trained(1, 10), run(2, attacked(damaged), method="gairat"))["gairat"]
    assert found.flags == ()
    assert found.not_judged[0].reason == "not judged: the details of autoattack-gap lack a share or a count"


def test_hidden_rows_and_single_seeds_are_judged_beside_the_whole_board() -> None:
    runs = (trained(1, 10), trained(2, 12), trained(3, 50, "gairat"))
    only = rows(*runs, selection=Selection(methods=("gairat",)))
    assert [flags_text(row) for row in only.values()] == ["A"]
    (board,) = boards(Held(runs), Selection(by_seed=True))
    assert [(row.train_seed, flags_text(row)) for row in board.rows if row.method == "gairat"] == [(3, "A")]
    assert [flags_text(row) for row in board.rows if row.method == "sat"] == ["none", "none"]


def test_what_is_not_judged_is_in_no_flag_of_the_data_formats() -> None:
    """A program that looks for A among the flags must not find it in ``A?``."""
    (board,) = boards(Held([trained(1, 60, "gairat")]))
    document = row_document(board, board.rows[0])
    assert document["flags"] == []
    assert [(d["mark"], d["check"], d["networks"], d["of"]) for d in document["not_judged"]] == [
        ("A?", "autoattack-gap", 1, 1)
    ]
    assert {(line["flags"], line["not_judged"]) for line in tidy_rows([board])} == {("", "autoattack-gap")}
    (line,) = flag_lines(board)
    assert line.startswith("A? gairat: autoattack-gap: AutoAttack breaks 60.0 %")

"""What figures are made from: one board, or one training protocol; several are refused by name."""

from __future__ import annotations

import pytest

from harness.errors import HarnessError, SettingError, UnknownName
from harness.figures.catalogue import PLOTS, plot_called
from harness.figures.material import Material
from harness.leaderboard.board import Selection
from harness.store.records import DatasetRecord
from harness.store.store import Store
from tests import stores
from tests.harness.figures import made


def two_protocols() -> Store:
    store = Store.in_memory()
    made.fill(store, methods=["sat"], seeds=[0])
    made.fill(store, methods=["sat", "trades"], seeds=[0], training={"epochs": 9}, fingerprint="2" * 64, name="longer")
    return store


def test_two_protocols_are_refused_and_either_can_be_chosen() -> None:
    store = two_protocols()
    with pytest.raises(HarnessError, match=r"figures of 2 boards cannot be compared: .*; choose one with --protocol$"):
        made.material(store).board()
    assert made.material(store, protocol="longer").board().fingerprint == "2" * 64
    assert made.material(store, protocol="1111").board().fingerprint == "1" * 64


def test_two_sets_of_images_are_refused_and_a_limit_chooses() -> None:
    store = Store.in_memory()
    made.fill(store, methods=["sat"], seeds=[0])
    made.fill(store, methods=["sat"], seeds=[1], images=20)
    with pytest.raises(HarnessError, match=r"40 images; .* 20 images; choose one with --limit|20 images; .* 40 images"):
        made.material(store).board()
    assert Material(store=store, limit=20).board().examples == 20
    with pytest.raises(HarnessError, match="no row matches --limit 30; there are rows of 20, 40 test images"):
        Material(store=store, limit=30).board()


def test_two_data_sets_are_refused() -> None:
    store = Store.in_memory()
    made.fill(store, methods=["sat"], seeds=[0])
    other = DatasetRecord("other", "e" * 64, 100, 40, 1, 8, 8, 10)
    run = stores.start(store, stores.make_spec(other, training=made.TRAINING), other)
    kept = stores.add_checkpoint(store, run)
    store.end_run(run.id)
    stores.add_evaluation(store, kept, "cw", made.SETTINGS["cw"], stores.right(3, 40))
    with pytest.raises(HarnessError, match="choose one with --dataset"):
        made.material(store).board()
    with pytest.raises(HarnessError, match=r"runs on two data sets cannot be compared: digits, other; .*--dataset"):
        made.material(store).runs()
    assert [run.id for run in made.material(store, dataset="other").runs()] == [2]


def test_runs_count_once_complete_whether_they_were_attacked_or_not() -> None:
    store = two_protocols()
    with pytest.raises(HarnessError, match=r"two protocols .*longer \[22222222\], tiny \[11111111\]; .*--protocol"):
        made.material(store).runs()
    spec = stores.make_spec(method="mart", training=made.TRAINING)
    unattacked = stores.start(store, spec)
    assert [run.method for run in made.material(store, protocol="tiny").runs()] == ["sat"]  # it still trains
    store.end_run(unattacked.id)
    assert [run.method for run in made.material(store, protocol="tiny").runs()] == ["sat", "mart"]
    assert [run.method for run in made.material(store, protocol="tiny", methods=("mart",)).runs()] == ["mart"]
    again = stores.start(store, spec, attempt=2)
    store.end_run(again.id)
    assert [run.id for run in made.material(store, methods=("mart",)).runs()] == [again.id]
    with pytest.raises(HarnessError, match="no complete run matches"):
        made.material(store, methods=("lrat",)).runs()


def test_two_rows_of_one_name_are_refused(store: Store) -> None:
    made.fill(store, methods=["sat"], seeds=[0])
    spec = stores.make_spec(training=made.TRAINING, method_settings={"steps": 5})  # no departure: the default moved
    run = stores.start(store, spec)
    kept = stores.add_checkpoint(store, run, epoch=3)
    store.end_run(run.id)
    stores.add_evaluation(store, kept, "cw", made.SETTINGS["cw"], stores.right(3, 40))
    with pytest.raises(HarnessError, match="two rows are called sat"):
        made.material(store).board()


def test_more_rows_than_fit_are_refused(board: tuple[Store, made.Known]) -> None:
    assert len(made.material(board[0]).board(3).rows) == 3
    with pytest.raises(HarnessError, match="3 rows match, and this figure has room for 2: choose some with --method"):
        made.material(board[0]).board(2)


def test_reported_figures_are_not_drawn() -> None:
    store = Store.read("/nowhere/leaderboard.db")  # has what papers report, and nothing else
    with pytest.raises(HarnessError, match="nothing is measured yet"):
        Material(store=store, selection=Selection()).board()


@pytest.mark.parametrize("choice", ["limit", "images"])
def test_a_count_is_positive(choice: str) -> None:
    with pytest.raises(SettingError, match=f"--{choice} 0 is refused"):
        Material(store=Store.in_memory(), **{choice: 0})  # type: ignore[arg-type]


def test_a_figure_has_the_name_that_it_is_listed_by() -> None:
    assert [plot.name for plot in PLOTS.values()] == [*PLOTS]
    with pytest.raises(UnknownName, match="did you mean 'ranks'"):
        plot_called("rank")

"""An edited plugin is another one: its results stand under the digest of its source."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.errors import PluginError
from harness.events import EpochRecord
from harness.planning.request import RunRequest
from harness.planning.run_job import resolve_run
from harness.registry.source import closure
from harness.store.leases import Lease
from harness.store.store import Store
from harness.training.run_plugins import method_of
from tests.cli.conftest import Harness
from tests.cli.sources import ATTACK, DATA, EDIT, METHOD, NETWORK, RUN, WHERE, WRAPPER, rows, write


@pytest.mark.slow
class TestPlugins:
    def test_a_method_that_was_mended_is_trained_anew_and_has_a_row_of_its_own(self, harness: Harness) -> None:
        run = f"run mine --plugin mine.py {RUN} --train-seeds"
        write("mine.py", METHOD, SCALE="-0.01")
        harness(f"{run} 2")
        write("mine.py", METHOD, SCALE="1.0000")
        harness(f"{run} 1")
        broken, mended = sorted(rows(harness), key=lambda row: row["runs"])
        assert (broken["runs"], mended["runs"]) == ([1, 2], [3])
        assert broken["code"].keys() == mended["code"].keys() == {"method"}
        assert broken["code"] != mended["code"]
        assert broken["metrics"]["natural"]["median"] < 20 < mended["metrics"]["natural"]["median"]
        write("mine.py", METHOD, SCALE="-0.01")
        assert "2 trained already" in harness(f"{run} 2 --dry-run")

    def test_an_edit_while_the_data_set_is_loaded_is_not_taken_for_what_was_imported(self) -> None:
        method, data = Path(write("mine.py", METHOD, SCALE="1")), Path(write("few.py", DATA))
        data.write_text(data.read_text().replace("data = Digits()", f"EDIT({str(method)!r}); data = Digits()") + EDIT)
        begun_with = closure([method]).digest
        plugins = (method, data)
        (job,) = resolve_run(
            RunRequest(methods=("mine",), network="smallcnn", dataset="few", device="cpu", plugins=plugins)
        )
        assert closure([method]).digest != begun_with
        assert job.specs[0].code["method"] == begun_with
        with pytest.raises(PluginError, match=r"the code of the method 'mine' changed since .* began"):
            method_of(job.specs[0], plugins)

    def test_an_attack_that_may_mix_the_images_of_a_block_is_repeated_for_other_blocks(self, harness: Harness) -> None:
        brighter = "(x + threat.epsilon * (x.mean((0, 1, 2, 3)) > 0.3)).clamp(0, 1)"  # of all, by all of them
        write("push.py", ATTACK, PUSHED=brighter)
        run = f"run sat --plugin push.py {RUN} --set evaluation.attacks=natural,push --set evaluation.block_size="
        harness(f"{run}100")
        document = json.loads(harness(f"{run}50 --dry-run --json"))
        assert [(e["attack"], e["blocks"], e["images"]) for e in document["evaluations"]] == [("push", 8, 360)]

    def test_two_files_of_one_name_are_two_methods(self, harness: Harness) -> None:
        for folder, scale in (("a", "1"), ("b", "0.5")):
            Path(folder).mkdir()
            write(f"{folder}/mine.py", METHOD, SCALE=scale)
            harness(f"run mine --plugin {folder}/mine.py {RUN}")
        assert len({row["code"]["method"] for row in rows(harness)}) == 2

    def test_a_row_is_found_by_its_name_as_long_as_that_says_which(self, harness: Harness) -> None:
        harness(f"run standard {RUN}")
        write("mine.py", METHOD, SCALE="1")
        harness(f"run mine --plugin mine.py {RUN}")
        assert "mine" in harness("compare mine standard --dataset digits --db board.db")
        write("mine.py", METHOD, SCALE="0.5")
        harness(f"run mine --plugin mine.py {RUN}")
        with pytest.raises(AssertionError, match="mine was run with 2 different codes; write one of mine@"):
            harness("compare mine standard --dataset digits --db board.db")
        label = f"mine@{rows(harness)[-1]['code'].get('method', '')[:8]}"
        assert label in harness("leaderboard --dataset digits --db board.db") or label == "mine@"

    def test_an_edited_network_is_another_one_and_old_weights_are_not_put_into_it(self, harness: Harness) -> None:
        run = f"run standard --arch tiny --plugin tiny.py --epochs 1 {WHERE}"
        write("tiny.py", NETWORK, ACT="Sigmoid")
        harness(run)
        write("tiny.py", NETWORK, ACT="ReLU")
        with pytest.raises(AssertionError, match=r"the code of the network 'tiny' changed since .* put the old"):
            harness("evaluate 1 --plugin tiny.py --attacks fgsm --workers 1 --no-checks --db board.db")
        harness(run)
        first, second = rows(harness)
        assert first["code"]["network"] != second["code"]["network"]
        assert first["train_seeds"] == second["train_seeds"] == 1

    def test_an_edited_wrapper_and_an_edited_data_set_are_trained_anew(self, harness: Harness) -> None:
        files = " ".join(f"--plugin {name}" for name in (write("half.py", WRAPPER, TIMES="1"), write("few.py", DATA)))
        run = f"run standard --wrap half {files} {RUN.replace('digits', 'few')}"
        harness(run)
        write("half.py", WRAPPER, TIMES="0.5")
        harness(run)
        write("few.py", DATA + "# edited\n")
        harness(run)
        runs = Store.read("board.db").runs()
        assert [sorted(run.code) for run in runs] == [["dataset", "wrapper half"]] * 3
        assert len({run.code["wrapper half"] for run in runs}) == len({run.code["dataset"] for run in runs}) == 2

    def test_an_edited_attack_attacks_again_on_a_board_of_its_own(self, harness: Harness) -> None:
        run = f"run standard --plugin push.py {RUN.replace('natural,pgd', 'natural,push')}"
        write("push.py", ATTACK, PUSHED="x")
        harness(run)
        write("push.py", ATTACK, PUSHED="1 - x")
        harness(run)
        first, second = rows(harness)
        assert first["runs"] == second["runs"] == [1]
        assert first["protocol_fingerprint"] != second["protocol_fingerprint"]
        assert first["metrics"]["push"]["median"] == first["metrics"]["natural"]["median"]
        assert second["metrics"]["push"]["median"] < first["metrics"]["push"]["median"]

    def test_a_stopped_training_does_not_go_on_with_other_code(
        self, harness: Harness, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run = f"run mine --plugin mine.py {RUN.replace('--epochs 1', '--epochs 3')}"
        write("mine.py", METHOD, SCALE="1")
        add_epoch = Store.add_epoch  # of an epoch that the store hears of the state is on the disk

        def stopped(store: Store, run_id: int, record: EpochRecord, lease: Lease | None = None) -> None:
            add_epoch(store, run_id, record, lease)
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(Store, "add_epoch", stopped)
            with pytest.raises(AssertionError):
                harness(run)
        write("mine.py", METHOD, SCALE="2")
        with pytest.raises(AssertionError, match="stopped after epoch 1 of 3, and the code of its method has changed"):
            harness(run)
        assert len(Store.read("board.db").runs()) == 1
        harness(f"{run} --fresh")
        assert [run.status for run in Store.read("board.db").runs()] == ["running", "done"]
        write("mine.py", METHOD, SCALE="1")
        harness(run)  # what was put back goes on
        assert [run.status for run in Store.read("board.db").runs()] == ["done", "done"]

    def test_show_says_which_code_and_whether_todays_differs(self, harness: Harness) -> None:
        write("mine.py", METHOD, SCALE="1")
        harness(f"run mine --plugin mine.py {RUN}")
        digest = rows(harness)[0]["code"]["method"]
        told = harness("show 1 --db board.db")
        assert f"method mine: {digest[:12]}; today's is the same: {Path('mine.py').resolve()}" in told
        assert "network smallcnn: as shipped with harness" in told
        write("mine.py", METHOD, SCALE="2")
        assert f"today's differs in {Path('mine.py').resolve()}" in harness("show 1 --db board.db")
        Path("mine.py").unlink()
        assert f"not on this disk: {Path('mine.py').resolve()}" in harness("show 1 --db board.db")

    def test_what_ships_has_no_code_in_its_identity(self, harness: Harness) -> None:
        harness(f"run standard {RUN}")
        (row,) = rows(harness)
        assert row["code"] == {}
        assert Store.read("board.db").run(1).code == {}

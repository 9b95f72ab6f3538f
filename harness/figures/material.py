"""What figures are made from: the store, the rows that were chosen, and the places of weights and images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from harness.errors import HarnessError, SettingError, UnknownName, visible
from harness.leaderboard.board import MEASURED, Board, Selection
from harness.leaderboard.cells import full_name
from harness.leaderboard.contestants import trained_by
from harness.leaderboard.ranking import boards, unranked
from harness.leaderboard.showing import no_match
from harness.protocols.run_spec import TRIAL_SEED
from harness.store.records import RunRecord
from harness.store.standing import RunStanding
from harness.store.store import Store

Cost = Literal["passes", "seconds"]
PASSES: Cost = "passes"
ROOM = 12  # rows whose names fit beside their marks


@dataclass(frozen=True, kw_only=True)
class Material:
    """What a figure may read.

    Attributes:
        selection: which measured rows; ``sort`` is the attack, or the worst case, that figures show as robust accuracy.
        limit: the number of attacked test images of the rows; None: any.
        images: how many images a figure passes through the networks, balanced over the classes; None: all. Figures
            that are made from the store alone read neither this nor part, folder, places, and device.
        part: which images these are.
        folder, folder_options: where a data set is that lies in a folder of the user's, and how it is read.
        device: where a figure passes images through networks; None: CUDA if there is one.
        plugins: the user's plugin files.
        cost: what a figure of costs counts.
    """

    store: Store
    selection: Selection = field(default_factory=Selection)
    limit: int | None = None
    images: int | None = None
    part: Literal["train", "test"] = "train"
    folder: Path | None = None
    folder_options: Mapping[str, Any] = field(default_factory=dict)
    runs_dir: Path = Path("runs")
    data_dir: Path = Path("data")
    device: str | None = None
    plugins: tuple[Path, ...] = ()
    cost: Cost = PASSES

    def __post_init__(self) -> None:
        for option, count in (("--limit", self.limit), ("--images", self.images)):
            if count is not None and count < 1:
                raise SettingError(f"{option} {count} is refused: it must be 1 or more")

    def boards(self) -> list[Board]:
        """The measured boards that were chosen, with their rows ranked; at least one.

        Raises:
            HarnessError: no row matches; says which option leaves none.
            UnknownName: none of the boards has the attack.
        """
        wanted = replace(self.selection, source=MEASURED)
        measured = [board for board in unranked(self.store) if board.source == MEASURED]
        if not measured:
            raise HarnessError("nothing is measured yet; `harness run` trains and attacks a first network")
        known = {column for board in measured if wanted.takes_board(board) for column in board.columns}
        if wanted.sort is not None and known and wanted.sort not in known:
            raise UnknownName("attack", wanted.sort, known)
        found = [board for board in boards(self.store, wanted) if wanted.sort in (None, *board.columns)]
        if not found:
            raise HarnessError(no_match(measured, self.selection))
        fitting = [board for board in found if self.limit in (None, board.examples)]
        if not fitting:
            counts = sorted({board.examples or 0 for board in found})
            raise HarnessError(
                f"no row matches --limit {self.limit}; there are rows of {', '.join(map(str, counts))} test images"
            )
        return fitting

    def board(self, most: int | None = None) -> Board:
        """The one board that was chosen.

        Args:
            most: the number of rows that the figure has room for; None: any.
        Raises:
            HarnessError: no row matches, or rows of several boards do, which cannot be compared; names the choices. Or
                two rows have one name, or there are too many rows.
        """
        found = self.boards()
        if len(found) > 1:
            raise HarnessError(_choices(found))
        if most is not None and len(found[0].rows) > most:
            raise HarnessError(
                f"{len(found[0].rows)} rows match, and this figure has room for {most}: choose some with --method,"
                " --arch, or --checkpoint"
            )
        names = Counter(full_name(found[0], row) for row in found[0].rows)
        if alike := [name for name, count in names.items() if count > 1]:
            raise HarnessError(
                f"two rows are called {alike[0]}, and a figure could not tell them apart; leave them out with --method"
            )
        return found[0]

    def runs(self) -> list[RunRecord]:
        """The newest complete run of each identity that was chosen, all of one data set and one training protocol.

        Attacked or not, for figures from records that the training made. ``--checkpoint`` does not choose here. Trials
        of ``harness tune`` are left out.

        Raises:
            HarnessError: no run matches, or the runs cannot be compared; names the choices.
        """
        chosen = self.selection
        protocols = [
            p
            for p in self.store.protocols()
            if chosen.protocol is None or chosen.protocol == p.name or p.fingerprint.startswith(chosen.protocol)
        ]
        found = [
            run
            for run in self.store.called_runs()
            if chosen.dataset in (None, run.dataset.name)
            and chosen.network in (None, run.network)
            and run.train_seed != TRIAL_SEED
            and any(p.trains(run.training_sha256, run.wrappers) for p in protocols)
            and (not chosen.methods or not {*known_names(run)}.isdisjoint(chosen.methods))
        ]
        if not found:
            raise HarnessError("no complete run matches the options; `harness runs` lists the runs that there are")
        if len({run.dataset.fingerprint for run in found}) > 1:
            names = ", ".join(sorted({visible(run.dataset.name) for run in found}))
            raise HarnessError(f"runs on two data sets cannot be compared: {names}; choose one with --dataset")
        if len({run.training_sha256 for run in found}) > 1:
            trainings = {p.training_sha256: f"{p.name} [{p.fingerprint[:8]}]" for p in protocols}
            names = ", ".join(sorted({trainings[run.training_sha256] for run in found}))
            raise HarnessError(f"runs under two protocols cannot be compared: {names}; choose one with --protocol")
        whole = {run.id: run for run in self.store.runs_of([run.id for run in found])}
        return [whole[run.id] for run in found if run.id in whole]


def known_names(run: RunRecord | RunStanding) -> tuple[str, str, str]:
    """What ``--method`` may call a run: its method, its label, and its label without code."""
    trained = trained_by(run)
    return trained.method, trained.label, trained.short_label


def _choices(found: Sequence[Board]) -> str:
    """Why several boards are refused, and the options that choose one."""
    options = [
        option
        for option, values in (
            ("--dataset", {board.dataset for board in found}),
            ("--protocol", {board.fingerprint for board in found}),
            ("--limit", {board.examples for board in found}),
        )
        if len(values) > 1
    ]
    held = "; ".join(
        f"{visible(board.dataset)} under {visible(board.protocol)} [{board.fingerprint[:8]}], {board.examples} images"
        for board in found
    )
    how = f"choose one with {' or '.join(options)}" if options else "keep each of them in a database of its own"
    return f"figures of {len(found)} boards cannot be compared: {held}; {how}"

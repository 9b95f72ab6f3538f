"""Whether every row of a database is sound: hashes are those of what they name, counts those of the verdicts."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from harness.errors import visible
from harness.store import plausible
from harness.store.checked_identities import model_faults, protocol_faults, run_faults, settings_fault, texts
from harness.store.schema import METADATA
from harness.store.soundness import block_problems, place_problems
from harness.store.typed_rows import Row, Select, typed_rows
from harness.store.verdicts import PackedBlock

MOST_PROBLEMS = 1000  # are kept; a damaged database may have one in every row
_LONGEST = 160  # characters of the name of a row
OLDER_COPY = "go back to an older copy of the database"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong in a database: in which row, what, and what to do."""

    where: str
    what: str
    remedy: str = OLDER_COPY


@dataclass(frozen=True)
class _Evaluation:
    title: str
    examples: int
    image_bytes: int
    classes: int
    remedy: str


class RowCheck:
    """Checks the rows of a database that has the newest schema.

    Attributes:
        problems: the first ``MOST_PROBLEMS`` of them.
        more: how many there are besides.
        runs, models, evaluations, verdicts: how many were seen.
    """

    def __init__(self, select_from: Select) -> None:
        self._select_from = select_from
        self.problems: list[Problem] = []
        self.more = self.runs = self.models = self.evaluations = self.verdicts = 0
        self._datasets: dict[int, Row] = {}
        self._owners: dict[tuple[str, int], tuple[str, Row, str]] = {}  # kind and number: title, data set, remedy
        self._checkpoints: dict[int, tuple[str, Row, str]] = {}
        self._evaluated: dict[int, _Evaluation] = {}
        self._code: dict[tuple[str, str], dict[str, str]] = {}  # attack and hash of its settings: code

    def perform(self) -> None:
        """Look at every row."""
        self._check_datasets()
        self._check_runs()
        self._check_models()
        self._check_checkpoints()
        self._check_evaluations()
        self._check_blocks()
        self._check_images()
        self._check_trainings()
        self._check_examinations()
        self._check_protocols()
        for row in self._rows("reported"):
            if not 0 <= row["median_percent"] <= 100:
                self._add(f"reported figure {row['id']}", f"{row['median_percent']} % cannot be")
        list(self._rows("removed_attempts"))
        for row in self._rows("run_states"):
            self._add(f"state {row['id']} of run {row['run_id']}", plausible.dates_fault(row["at_utc"]))
        for row in self._rows("leases"):
            endless = None if row["expires"] < math.inf else "it never ends"
            self._add_all(f"lease {row['id']}", [plausible.dates_fault(row["taken_utc"]), endless])

    def _add(self, where: str, what: str | None, remedy: str = OLDER_COPY) -> None:
        if what is None:
            return
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(Problem(visible(where)[:_LONGEST], visible(what), visible(remedy)))
        else:
            self.more += 1

    def _add_all(self, where: str, faults: Iterable[str | None], remedy: str = OLDER_COPY) -> None:
        for fault in faults:
            self._add(where, fault, remedy)

    def _rows(self, table: str) -> Iterator[Row]:
        def refused(key: str, why: str) -> None:
            self._add(f"{table} {key}", why)

        return typed_rows(self._select_from, METADATA.tables[table], refused)

    def _check_datasets(self) -> None:
        for row in self._rows("datasets"):
            self._datasets[row["id"]] = row
            sizes = ("train_examples", "test_examples", "channels", "height", "width", "classes")
            names = row["class_names"]
            wrong = names is not None and not (texts(names) and len(names) == row["classes"])
            self._add_all(
                f"data set {row['name']}",
                [
                    plausible.hash_fault(row["fingerprint"]),
                    next((f"its {size} are {row[size]}" for size in sizes if row[size] < 1), None),
                    "the names of its classes are not one text a class" if wrong else None,
                ],
            )

    def _check_runs(self) -> None:
        for row in self._rows("runs"):
            self.runs += 1
            title, remedy = f"run {row['id']}", f"`harness rm {row['id']}` removes the run; then repeat it"
            dataset = self._datasets.get(row["dataset_id"])
            if dataset is None:  # also told by the check of references
                self._add(title, "its data set is missing or not sound", remedy)
                continue
            self._owners["run", row["id"]] = title, dataset, remedy
            self._add_all(title, run_faults(row, dataset), remedy)

    def _check_models(self) -> None:
        given: dict[int, list[str]] = defaultdict(list)
        for row in typed_rows(self._select_from, METADATA.tables["checkpoints"], lambda _key, _why: None):
            if row["model_id"] is not None:
                given[row["model_id"]].append(row["sha256"])
        for row in self._rows("models"):
            self.models += 1
            title, remedy = (
                f"model {row['name']}",
                f"`harness rm '{row['name']}'` removes the model; then evaluate it again",
            )
            dataset = self._datasets.get(row["dataset_id"])
            if dataset is None:
                self._add(title, "its data set is missing or not sound", remedy)
                continue
            self._owners["model", row["id"]] = title, dataset, remedy
            self._add_all(title, model_faults(row, dataset, given[row["id"]]), remedy)

    def _check_checkpoints(self) -> None:
        for row in self._rows("checkpoints"):
            kind, number = ("run", row["run_id"]) if row["run_id"] is not None else ("model", row["model_id"])
            owner = self._owners.get((kind, number))
            if owner is None:
                continue  # its owner was told of
            title, dataset, remedy = owner
            title = f"{title}, {row['name']}" if kind == "run" else title
            self._checkpoints[row["id"]] = title, dataset, remedy
            self._add(title, plausible.hash_fault(row["sha256"]), remedy)
            if kind == "run" and (row["name"] not in ("early", "best", "last") or row["epoch"] < 1):
                self._add(title, f"a run has no such checkpoint, after epoch {row['epoch']}", remedy)

    def _check_evaluations(self) -> None:
        for row in self._rows("evaluations"):
            self.evaluations += 1
            owner = self._checkpoints.get(row["checkpoint_id"])
            if owner is None:
                continue
            title, dataset, remedy = owner
            title = f"{title}, {row['attack']}, seed {row['seed']} (evaluation {row['id']})"
            size = 4 * dataset["channels"] * dataset["height"] * dataset["width"]
            self._evaluated[row["id"]] = _Evaluation(title, row["examples"], size, dataset["classes"], remedy)
            code = {key: row["settings"][key] for key in ("code", "engine") if key in row["settings"]}
            self._code[row["attack"], row["settings_sha256"]] = code
            beyond = row["examples"] > dataset["test_examples"]
            self._add_all(
                title,
                [
                    settings_fault(row),
                    f"it has {row['examples']} images of {dataset['test_examples']}" if beyond else None,
                    plausible.dates_fault(row["created_utc"]),
                ],
                remedy,
            )

    def _check_blocks(self) -> None:
        for number, rows in groupby(self._rows("blocks"), lambda row: row["evaluation_id"]):
            evaluation, blocks = self._evaluated.get(number), []
            if evaluation is None:
                continue
            for row in rows:
                blocks.append((row["start"], row["examples"]))
                self.verdicts += row["examples"]
                where = f"{evaluation.title}, block from image {row['start']}"
                problems = block_problems(PackedBlock(*(row[name] for name in PackedBlock._fields)), evaluation.classes)
                self._add(where, next(problems, None), evaluation.remedy)
                if not (texts(row["warnings"]) and 0 <= row["duration_s"] < math.inf):
                    self._add(where, "its warnings or its duration cannot be", evaluation.remedy)
            self._add(evaluation.title, next(place_problems(evaluation.examples, blocks), None), evaluation.remedy)

    def _check_images(self) -> None:
        for row in self._rows("adversarial_images"):
            evaluation = self._evaluated.get(row["evaluation_id"])
            if evaluation is not None:
                fault = plausible.image_fault(row["pixels"], row["place"], evaluation.examples, evaluation.image_bytes)
                self._add(evaluation.title, fault, evaluation.remedy)

    def _check_trainings(self) -> None:
        """Epochs, histograms, and curves of runs."""
        for row in self._rows("epochs"):
            wrong = row["epoch"] < 1 or row["images"] < 0 or not 0 <= row["duration_s"] < math.inf
            self._add(*self._of_run(row, "its number, images, or duration cannot be" if wrong else None))
        for row in self._rows("histograms"):
            counted = all(type(count) is int and count >= 0 for count in row["counts"]) and row["counts"]
            wrong = not counted or math.inf in (-row["low"], row["high"])
            self._add(*self._of_run(row, f"the histogram {row['name']} has no counts" if wrong else None))
        curves: dict[int, tuple[int, str, str]] = {}
        for row in self._rows("curves"):
            title, dataset, remedy = self._owners.get(("run", row["run_id"]), ("", None, ""))
            if dataset is None:
                continue
            title = f"{title}, curve of {row['attack']} on {row['part']} images"
            curves[row["id"]] = row["images"], title, remedy
            there = dataset[f"{row['part']}_examples"]
            beyond = f"it has {row['images']} images of {there}" if row["images"] > there else None
            self._add_all(title, [settings_fault(row), beyond], remedy)
        for row in self._rows("curve_points"):
            images, title, remedy = curves.get(row["curve_id"], (row["correct"], "", ""))
            if row["correct"] > images or not 0 <= row["duration_s"] < math.inf:
                self._add(f"{title}, epoch {row['epoch']}", f"{row['correct']} of {images} images are right", remedy)

    def _of_run(self, row: Row, what: str | None) -> tuple[str, str | None, str]:
        title, _, remedy = self._owners.get(("run", row["run_id"]), (f"run {row['run_id']}", {}, OLDER_COPY))
        return f"{title}, epoch {row['epoch']}", what, remedy

    def _check_examinations(self) -> None:
        for row in self._rows("examinations"):
            if (owner := self._checkpoints.get(row["checkpoint_id"])) is not None:
                title = f"{owner[0]}, examination {row['id']}"
                self._add_all(title, [settings_fault(row), plausible.dates_fault(row["created_utc"])], owner[2])
        for row in self._rows("findings"):
            if len(row["mark"]) > 1:
                where = f"finding {row['position']} of examination {row['examination_id']}"
                self._add(where, "its mark is longer than one character")

    def _check_protocols(self) -> None:
        for row in self._rows("protocols"):
            self._add_all(f"protocol {row['name']} {row['fingerprint'][:8]}", protocol_faults(row, self._code))

"""What a database holds, as tables: trainings, evaluations, verdicts, findings, and figures that papers report."""

from __future__ import annotations

from typing import TYPE_CHECKING, SupportsIndex

from harness.api import columns
from harness.api.contents import Contents
from harness.api.filters import chosen
from harness.api.open_database import OpenDatabase, of_attempts
from harness.api.table import Table
from harness.errors import SettingError

if TYPE_CHECKING:
    from harness.api.recorded import AdversarialImages


class Computed(OpenDatabase):
    """The tables of what was computed, and of what was reported."""

    def runs(self, *, superseded: bool = True, **filters: object) -> Table:
        """Every training, even if it stopped or failed."""
        from harness.api.gathered import run_rows

        runs = self._open().trainings()
        return self._table("runs", columns.RUNS, run_rows(runs, self._store.states(runs)), filters, superseded)

    def models(self, **filters: object) -> Table:
        """Every model that harness did not train."""
        from harness.api.gathered import model_rows

        return self._table("models from elsewhere", columns.MODELS, model_rows(self._models()), filters)

    def epochs(self, *, superseded: bool = False, **filters: object) -> Table:
        """Every epoch of every training: the training curves."""
        from harness.api.gathered import epoch_rows

        return self._table("epochs", columns.EPOCHS, epoch_rows(self._open().trainings()), filters, superseded)

    def curves(self, *, superseded: bool = False, **filters: object) -> Table:
        """Accuracies while networks were trained: one row an epoch, attack, and part of the images, test or training.

        They are measured on a sample of the images, and show how a training went. Older trainings have none.
        """
        from harness.api.recorded import curve_rows

        return self._table("curves", columns.CURVES, curve_rows(self._open()), filters, superseded)

    def histograms(self, *, superseded: bool = False, **filters: object) -> Table:
        """What methods counted image by image: one row an epoch, quantity, and bin. Older trainings have none.

        A filter may name a column that is the same in all bins of a histogram.
        """
        from harness.api.recorded import bin_columns, histogram_rows

        of_histogram = tuple(c for c in columns.HISTOGRAMS if c not in columns.OF_BIN)
        kept = of_attempts(chosen(list(histogram_rows(self._open())), of_histogram, filters), superseded)
        held = bin_columns(kept, of_histogram)
        return Table(Contents("histograms", {c.name: c for c in columns.HISTOGRAMS}, held))

    def evaluations(self, *, superseded: bool = False, **filters: object) -> Table:
        """Every attack with one seed on one checkpoint, complete or not."""
        from harness.api.gathered import evaluation_rows

        rows = evaluation_rows(self._runs(), self._models())
        return self._table("evaluations", columns.EVALUATIONS, rows, filters, superseded)

    def verdicts(self, *, superseded: bool = False, **filters: object) -> Table:
        """The verdict on each test image in each complete evaluation: one row an image, attack, and attack seed.

        The filters are applied before any verdict is read. A verdict takes seven bytes of memory, so a table may hold
        many millions; ``to_pandas`` needs some ninety.
        """
        from harness.api.gathered import evaluation_rows
        from harness.api.judged import verdict_columns

        rows = [row for row in evaluation_rows(self._runs(), self._models()) if row["complete"]]
        of_evaluation = tuple(c for c in columns.VERDICTS if c not in columns.OF_IMAGE)
        kept = of_attempts(chosen(rows, of_evaluation, filters), superseded)
        held = verdict_columns(self._store, kept, of_evaluation)
        return Table(Contents("verdicts", {c.name: c for c in columns.VERDICTS}, held))

    def adversarial_images(self, evaluation: int) -> AdversarialImages:
        """The adversarial images that were kept of an evaluation: arrays, empty where none were kept.

        The first images of an attack's first seed are kept.

        Args:
            evaluation: its number, as the tables ``evaluations`` and ``verdicts`` have it.
        Raises:
            HarnessError: there is no such evaluation.
        """
        from harness.api.recorded import adversarial_images

        if not isinstance(evaluation, SupportsIndex) or isinstance(evaluation, bool):
            raise SettingError(f"evaluation={evaluation!r} is refused: give one number of the table of evaluations")
        return adversarial_images(self._open(), int(evaluation))

    def findings(self, *, superseded: bool = False, **filters: object) -> Table:
        """What each check of rigour found on each checkpoint."""
        from harness.api.gathered import finding_rows

        rows = finding_rows(self._runs(), self._models())
        return self._table("findings", columns.FINDINGS, rows, filters, superseded)

    def reported(self, **filters: object) -> Table:
        """The figures that papers report. They were not measured here."""
        from harness.api.gathered import reported_rows

        return self._table("reported figures", columns.REPORTED, reported_rows(self._open().reported()), filters)

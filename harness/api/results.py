"""The results in a database, as tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, SupportsIndex

from harness.api import columns
from harness.api.contents import Contents, TableColumn
from harness.api.filters import chosen
from harness.api.table import Table
from harness.errors import SettingError, StoreError
from harness.planning.places import place_arguments

if TYPE_CHECKING:
    from harness.api.recorded import AdversarialImages
    from harness.store.records import ModelRecord, RunRecord
    from harness.store.store import Store


def open(db: str | Path | None = None) -> Results:
    """Open a database of results for reading. It is never changed, and may be written meanwhile.

    Args:
        db: a path or a SQLAlchemy URL. None: what ``HARNESS_DB`` names, else the project's configuration
            (``harness.toml``), else ``leaderboard.db`` in the working directory; if that does not exist, the results
            are empty but for the figures that papers report.
    Raises:
        StoreError: the file that ``db`` names does not exist, is no database of harness, or has another schema.
    """
    from harness.store import database
    from harness.store.store import Store

    location = place_arguments(db=db).db
    file = database.sqlite_file(database.locate(location))
    if db is not None and file is not None and not file.exists():
        raise StoreError(f"there is no database {file}; check the path: harness.run(..., db={location!r}) makes one")
    return Results(Store.read(location), database.shown(database.locate(location)))


class Results:
    """The results in a database. A context manager.

    Each method reads the database anew and returns a ``Table``; ``adversarial_images`` returns arrays. A keyword that
    names a column of the table is a filter: ``runs(method="sat", status=["done", "failed"])``. A method's plain name
    takes all its variants, a label such as ``lrat floor=pgd`` one of them.

    Of runs that were trained again (``fresh``) the tables have the attempts that the leaderboard counts alone; with
    ``superseded=True`` they have all.

    Raises:
        UnknownName: a filter names no column.
        HarnessError: no row has the value that a filter asks for. Values that rows have, but no row together, give an
            empty table; so does an empty database.
    """

    def __init__(self, store: Store, name: str) -> None:
        self._store, self._name, self._closed = store, name, False

    def close(self) -> None:
        """Close the database."""
        self._store.close()
        self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<results in {self._name}{', closed' if self._closed else ''}>"

    # ---- what was computed

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
        kept = _current(chosen(list(histogram_rows(self._open())), of_histogram, filters), superseded)
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
        kept = _current(chosen(rows, of_evaluation, filters), superseded)
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

    # ---- what it shows

    def leaderboard(
        self,
        *,
        dataset: str | None = None,
        arch: str | None = None,
        protocol: str | None = None,
        checkpoint: str | None = None,
        sort: str | None = None,
        wide: bool = False,
        **filters: object,
    ) -> Table:
        """The leaderboard, as ``harness leaderboard`` shows it: a row for each figure, not rounded.

        Figures are ranked with those on the same board alone: equal ``source``, ``dataset``, ``dataset_fingerprint``,
        ``fingerprint``, ``sample``, and ``examples``.

        Args:
            dataset, arch, protocol, checkpoint: rows of these alone are ranked; a protocol by its name, or by the
                beginning of its fingerprint.
            sort: the attack, or ``worst_case``, to rank by; None: each board's last attack.
            wide: whether the table has a row for each row of a board, and four columns for each attack.
            filters: columns, applied after the ranking.
        Raises:
            UnknownName: no board has the column ``sort``.
            SettingError: ``dataset``, ``arch``, ``protocol``, or ``checkpoint`` is no text.
        """
        from harness.api.ranked import leaderboard_table

        selected = {"dataset": dataset, "network": arch, "protocol": protocol, "checkpoint": checkpoint}
        for name, value in {**selected, "sort": sort}.items():
            if not isinstance(value, str | None):
                name = "arch" if name == "network" else name
                raise SettingError(f"{name}={value!r} is refused: it says what is ranked; give one name, or none")
        return leaderboard_table(self._open(), selected, sort, wide=wide, filters=filters)

    def compare(
        self,
        first: str | int,
        second: str | int,
        *,
        attack: str | None = None,
        dataset: str | None = None,
        arch: str | None = None,
        protocol: str | None = None,
        checkpoint: str | None = None,
        margin: float | None = None,
        data_dir: str | Path | None = None,
        plugins: Sequence[str | Path] = (),
    ) -> Table:
        """Compare two methods or networks on the same test images, as ``harness compare`` does.

        The table's ``notes`` say what else differs, and why there are no differences by class.

        Args:
            first, second: a run's number, or a row's label such as ``lrat floor=pgd``.
            attack: the attack, or ``worst_case``; None: the last attack that both have.
            dataset, arch, protocol, checkpoint: say which, where a name means several.
            margin: in points: the table has two one-sided tests against it, too.
            data_dir, plugins: where the labels of the test images are read, for the differences by class.
        Raises:
            HarnessError: nothing has such a name, or the two were not measured on the same images by the same attack.
        """
        from harness.api.compared import comparison_table
        from harness.comparison.naming import Where

        where = Where(dataset=dataset, network=arch, protocol=protocol, checkpoint=checkpoint)
        place = None if data_dir is None else Path(data_dir)
        files = tuple(map(Path, plugins))
        return comparison_table(self._open(), str(first), str(second), where, attack, place, files, margin)

    def power(
        self,
        first: str | int,
        second: str | int,
        *,
        points: float | Sequence[float] | None = None,
        attack: str | None = None,
        dataset: str | None = None,
        arch: str | None = None,
        protocol: str | None = None,
        checkpoint: str | None = None,
    ) -> Table:
        """What difference the training seeds of two methods can tell, and how many seeds a difference needs.

        The unit of inference is the training seed. See ``harness compare --power``.

        Args:
            points: the differences to plan seeds for, in points; None: 0.5, 1, and 2.
            first, second, attack, dataset, arch, protocol, checkpoint: as ``compare`` takes them.
        Raises:
            HarnessError: as ``compare``; or a side has fewer than two training seeds.
        """
        from harness.api.compared import power_table
        from harness.comparison.naming import Where
        from harness.comparison.resolution import POINTS, checked_points

        wanted = POINTS if points is None else checked_points(points, f"points={points!r}")
        where = Where(dataset=dataset, network=arch, protocol=protocol, checkpoint=checkpoint)
        return power_table(self._open(), str(first), str(second), where, attack, wanted)

    # ---- the store

    def _open(self) -> Store:
        if self._closed:
            raise StoreError(f"the results in {self._name} were closed; open them again with harness.open")
        return self._store

    def _runs(self) -> Sequence[RunRecord]:
        return self._open().runs()

    def _models(self) -> Sequence[ModelRecord]:
        return self._open().models()

    def _table(
        self,
        title: str,
        of_table: tuple[TableColumn, ...],
        rows: Iterable[Mapping[str, Any]],
        filters: Mapping[str, object],
        superseded: bool = True,
    ) -> Table:
        return Table.of_rows(title, of_table, _current(chosen(list(rows), of_table, filters), superseded))


def _current(rows: Sequence[Mapping[str, Any]], superseded: bool) -> Sequence[Mapping[str, Any]]:
    return [row for row in rows if superseded or row["current"]]

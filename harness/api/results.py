"""The results in a database, as tables: what it holds, how it is ranked, and how two of its rows compare."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.api.computed import Computed
from harness.api.given import Paths, paths_of
from harness.api.table import Table
from harness.errors import SettingError, StoreError
from harness.planning.places import place_arguments


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


class Results(Computed):
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

    def leaderboard(
        self,
        *,
        dataset: str | None = None,
        arch: str | None = None,
        protocol: str | None = None,
        checkpoint: str | None = None,
        sort: str | None = None,
        wide: bool = False,
        intervals: bool = False,
        cost: bool = False,
        plugins: Paths = (),
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
            intervals: whether the table has the 95 % interval of each rank, too; its ``notes`` then say what was drawn,
                or why a board has none. A board of a hundred rows takes some ten seconds.
            cost: whether the table has what each row's training cost, too, in passes and seconds. To count the passes,
                an update of the row's method is run.
            plugins: for ``cost``: files of methods that are not found anyway.
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
        how: dict[str, Any] = {"wide": wide, "intervals": intervals, "cost": cost, "plugins": paths_of(plugins)}
        return leaderboard_table(self._open(), selected, sort, **how, filters=filters)

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
        plugins: Paths = (),
    ) -> Table:
        """Compare two methods or networks on the same test images, as ``harness compare`` does.

        The row of the methods also says how both go together seed by seed, and so what a pairing gains. The table's
        ``notes`` say what else differs, and why there are no differences by class.

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
        files = paths_of(plugins)
        return comparison_table(self._open(), str(first), str(second), where, attack, place, files, margin)

    def compare_all(
        self,
        *,
        attack: str | None = None,
        dataset: str | None = None,
        arch: str | None = None,
        protocol: str | None = None,
        checkpoint: str | None = None,
    ) -> Table:
        """Compare all pairs of rows of each measured board, as ``harness compare --all`` does; best rows come first.

        The test of a pair is that of ``compare``, corrected over all pairs of the board by Holm's method. Rows without
        an attack seed in common have no test. Nor has a row of which a training seed collapsed, over training seeds:
        the table's ``notes`` name it, and say where seeds were added by looking.

        Args:
            attack: the attack, or ``worst_case``; None: each board's last attack.
            dataset, arch, protocol, checkpoint: rows of these alone are compared.
        Raises:
            UnknownName: no board has the column ``attack``, or no row the ``dataset``, ``arch``, ...
        """
        from harness.api.pairs import pair_table
        from harness.leaderboard.board import Selection

        where = Selection(dataset=dataset, network=arch, protocol=protocol, checkpoint=checkpoint, sort=attack)
        return pair_table(self._open(), where)

    def compare_protocols(
        self,
        first: str,
        second: str,
        *,
        attack: str | None = None,
        dataset: str | None = None,
        arch: str | None = None,
        checkpoint: str | None = None,
    ) -> Table:
        """Compare the orders of the same rows on the boards of two protocols, as ``harness compare --protocols`` does.

        The table has both figures of each row that stands on both boards; Kendall's tau-b and its interval are the same
        in all rows. The ``notes`` say what else differs, and which rows only one board has.

        Args:
            first, second: names of protocols, or beginnings of their fingerprints.
            attack: the attack, or ``worst_case``, that ranks both boards; None: each board's last attack.
            dataset, arch, checkpoint: say which board, and which of its rows compete, where there are several.
        Raises:
            HarnessError: a protocol has no board, or several; or both boards share fewer than three rows, or lack
                verdicts.
            UnknownName: no board has the column ``attack``.
        """
        from harness.api.orders import order_table
        from harness.leaderboard.board import Selection

        selection = Selection(dataset=dataset, network=arch, checkpoint=checkpoint, sort=attack)
        return order_table(self._open(), (str(first), str(second)), selection)

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

    def protocol_diff(self, first: str, second: str, *, plugins: Paths = ()) -> Table:
        """Say in which settings two protocols differ, as ``harness protocol diff`` does.

        The table is empty if they have equal settings; the ``notes`` say if results under one are results under the
        other.

        Args:
            first, second: names, TOML files, or beginnings of the fingerprints of protocols that were used.
            plugins: files of attacks and wrappers that the protocols name.
        Raises:
            UnknownName: there is no such protocol.
            HarnessError: a fingerprint's beginning is that of several, or a file is refused.
        """
        from harness.api.protocols import difference_table

        return difference_table(self._open(), first, second, paths_of(plugins))

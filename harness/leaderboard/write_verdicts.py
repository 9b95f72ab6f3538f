"""Verdicts as CSV and as Parquet, one evaluation at a time."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from typing import IO, Any, BinaryIO

from harness.errors import HarnessError
from harness.leaderboard.csv_cells import csv_cells
from harness.leaderboard.verdict_rows import COLUMNS, OF_IMAGE, Judged
from harness.store.verdicts import NOT_KEPT

ROWS_TOGETHER = 131_072  # of a row group in Parquet: readers skip whole groups, and a group must fit into memory


def write_csv(evaluations: Iterable[Judged], file: IO[str]) -> int:
    """Write a header, then one line for each verdict, 1 or 0; an empty field stands for None. Gives their number."""
    print(",".join(COLUMNS), file=file)
    count = 0
    for evaluation in evaluations:
        start = io.StringIO()
        csv.writer(start, lineterminator=",").writerow(csv_cells(evaluation.facts.values()))
        facts = start.getvalue()
        file.write("".join(facts + line for line in _lines(evaluation)))
        count += len(evaluation)
    return count


def _lines(evaluation: Judged) -> Iterator[str]:
    for position, image, correct, *others in evaluation.of_images():
        place, margin, predicted = ("" if value is None else value for value in (image, *others))
        yield f"{position},{place},{correct:d},{margin},{predicted}\n"


def write_parquet(evaluations: Iterable[Judged], file: BinaryIO) -> int:
    """Write one row for each verdict, with the columns' types. Gives their number.

    Raises:
        HarnessError: pyarrow is not installed.
    """
    pyarrow, parquet = import_pyarrow()
    schema, count = _schema(pyarrow), 0
    with parquet.ParquetWriter(file, schema) as writer:
        for together in _groups(evaluations):
            tables = [_table(pyarrow, evaluation, schema) for evaluation in together]
            writer.write_table(pyarrow.concat_tables(tables))
            count += sum(map(len, together))
    return count


def import_pyarrow() -> tuple[Any, Any]:
    """The modules ``pyarrow`` and ``pyarrow.parquet``.

    Raises:
        HarnessError: they are not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise HarnessError(
            "Parquet is written by pyarrow, which is not installed: pip install 'robustness-harness[pandas]', or write"
            " CSV with --format csv"
        ) from None
    return pyarrow, pyarrow.parquet


def _groups(evaluations: Iterable[Judged]) -> Iterator[list[Judged]]:
    """As many evaluations at once as a row group takes."""
    together: list[Judged] = []
    for evaluation in evaluations:
        together.append(evaluation)
        if sum(map(len, together)) >= ROWS_TOGETHER:
            yield together
            together = []
    if together:
        yield together


def _schema(pyarrow: Any) -> Any:
    whole, small = pyarrow.int64(), pyarrow.int32()
    types = dict.fromkeys(("run", "train_seed", "evaluation", "seed"), whole)
    types |= dict.fromkeys(("examples", "position", "image", "predicted"), small)
    types |= {"correct": pyarrow.bool_(), "margin": pyarrow.float32()}  # float16 is in float32 without rounding
    text = pyarrow.dictionary(pyarrow.int32(), pyarrow.string())  # each text once: data frames stay small, too
    return pyarrow.schema([(name, types.get(name, text)) for name in COLUMNS])


def _table(pyarrow: Any, evaluation: Judged, schema: Any) -> Any:
    import numpy as np

    length, kept = len(evaluation), evaluation.kept
    margins = pyarrow.array(kept.margins.astype(np.float32), from_pandas=True)  # NaN is null
    predicted = pyarrow.array(kept.predicted, mask=kept.predicted == NOT_KEPT)
    columns = (np.arange(length), evaluation.images, kept.correct, margins, predicted)
    of_image = dict(zip(OF_IMAGE, columns, strict=True))

    def column(name: str, kind: Any) -> Any:
        value = of_image.get(name, evaluation.facts.get(name))
        if value is None:
            return pyarrow.nulls(length, kind)
        if name in of_image:
            return pyarrow.array(value, kind)
        if pyarrow.types.is_dictionary(kind):
            return pyarrow.DictionaryArray.from_arrays(np.zeros(length, np.int32), [value])
        return pyarrow.repeat(pyarrow.scalar(value, kind), length)

    return pyarrow.table([column(field.name, field.type) for field in schema], schema)

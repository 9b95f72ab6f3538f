"""Tables as data frames of pandas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.api.contents import Contents, Kind
from harness.api.packed import PartlyMissing, Repeated
from harness.errors import HarnessError

if TYPE_CHECKING:
    import pandas as pd


def frame(table: Contents) -> pd.DataFrame:
    """A data frame with the table's columns; see ``Table.to_pandas``.

    Raises:
        HarnessError: pandas is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        raise HarnessError(
            f"a data frame needs pandas, which is not installed ({error}): pip install 'robustness-harness[pandas]'"
        ) from error
    made = {name: _series(table, name) for name in table.columns}
    found = pandas.DataFrame(made, copy=False)
    found.attrs["title"] = table.title
    found.attrs["units"] = {name: table.columns[name].unit for name in table.columns if table.columns[name].unit}
    return found


def _series(table: Contents, name: str) -> Any:
    import numpy as np
    import pandas

    values, kind = table.values[name], table.columns[name].kind
    if isinstance(values, Repeated):
        few = _of_kind(values.values, kind)
        return few.take(np.repeat(np.arange(len(few)), values.counts())).reset_index(drop=True)
    if isinstance(values, PartlyMissing):
        return pandas.Series(pandas.arrays.IntegerArray(values.numbers, values.gaps()))
    column = table.array(name)
    if column.dtype.kind in "ib" and not isinstance(values, list):
        return column  # no value can be missing: the array needs no mask
    return _of_kind(column.astype(np.float32) if column.dtype == np.float16 else values, kind)


def _of_kind(values: Any, kind: Kind) -> Any:
    """A series, of a sequence or an array, in the type that suits its kind."""
    import pandas

    if kind == "time":
        found = pandas.Series(list(values), dtype="object")
        return pandas.to_datetime(found, utc=True).astype("datetime64[us, UTC]")
    if kind == "category":
        known = list(dict.fromkeys(value for value in values if value is not None))
        return pandas.Series(pandas.Categorical(values, categories=known))
    types = {"int": "Int64", "bool": "boolean", "text": "string", "json": "object"}
    if kind == "float":
        return pandas.Series(values, dtype=getattr(values, "dtype", "float64"))
    return pandas.Series(list(values), dtype=types[kind])

"""Write figures as PNG, as SVG, and their data as CSV: all files or none."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path

from harness.errors import HarnessError
from harness.figures.marks import Marks
from harness.figures.plot import Plot
from harness.figures.style import styled
from harness.files import require_writable, writable_directory, write_together


def rendered(plot: Plot, marks: Marks) -> dict[str, bytes]:
    """The files of a figure: name -> content. The same data give the same bytes, with one version of matplotlib.

    The metadata of both images state the SHA-256 of the CSV.
    """
    data = marks.csv().encode()
    named = f"sha256:{hashlib.sha256(data).hexdigest()}"
    png, svg = io.BytesIO(), io.BytesIO()
    with styled() as canvas:
        plot.draw(marks.shown(), canvas)
        canvas.savefig(png, format="png", metadata={"Title": plot.title, "Source": named})
        canvas.savefig(svg, format="svg", metadata={"Title": plot.title, "Identifier": named, "Date": None})
    return {f"{plot.name}.png": png.getvalue(), f"{plot.name}.svg": svg.getvalue(), f"{plot.name}.csv": data}


def refuse_unwritable(folder: Path) -> None:
    """Raise HarnessError if files cannot be written into a folder: before figures are made, which may take long."""
    if folder.exists() and not folder.is_dir():
        raise HarnessError(f"--out {folder} is refused: it is a file; name a folder")
    try:
        require_writable(folder)
    except OSError as error:
        raise _unwritable(folder, error) from None


def write_figures(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files into a folder, which is made if it is missing; older files of these names are replaced.

    Raises:
        HarnessError: the folder cannot be written. Nothing was changed.
    """
    try:
        with writable_directory(folder):
            write_together({folder / name: content for name, content in files.items()})
    except OSError as error:
        raise _unwritable(folder, error) from None


def _unwritable(folder: Path, error: OSError) -> HarnessError:
    return HarnessError(f"--out {folder} cannot be written: {error.strerror or error}; choose another place")

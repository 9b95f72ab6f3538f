"""``harness figures``: figures for papers, as PNG, SVG, and the CSV of what is drawn."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from harness.cli import completion
from harness.cli.console import print_line, print_lines
from harness.cli.grouped import grouped
from harness.cli.options import (
    DATA_DIR,
    DB,
    PLUGINS,
    RUNS_DIR,
    ImageFolder,
    Rows,
    argument,
    of_output,
    of_rows,
    option,
)
from harness.cli.stores import there
from harness.errors import HarnessError, SettingError, StoreFault

if TYPE_CHECKING:
    from harness.figures.material import Material
    from harness.figures.plot import Plot

ALL = "all"
of_images = partial(option, "Figures from images")


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """Which figures of the rows are drawn."""

    attack: str | None = of_rows(
        "--attack NAME",
        "Show the accuracy under this attack, or worst_case, as robust accuracy.",
        shown="the last attack",
        complete=completion.attacks,
    )
    methods: list[str] | None = of_rows(
        "--method NAME",
        "Draw this method with all its variants, or one label; may be repeated.",
        complete=completion.methods,
    )
    cost: Literal["passes", "seconds"] = of_rows(
        "--cost <passes|seconds>", "For the figure cost: passes through the network, or seconds.", "passes"
    )
    limit: int | None = of_rows("--limit N", "Rows of this number of attacked test images alone.")


@dataclass(frozen=True, kw_only=True)
class Inference:
    """How a figure passes images through networks; figures that are made from the store alone do not."""

    images: int | None = of_images(
        "--images N", "Pass only N images through the networks, balanced over the classes.", shown="all"
    )
    part: Literal["train", "test"] = of_images(
        "--part <train|test>", "Pass these images through the networks: those of the training, or test images.", "train"
    )
    folder: Path | None = of_images("--folder PATH", "For runs on folder:NAME: where the folder is.")
    device: str | None = of_images(
        "--device DEVICE",
        "The device to compute on: cpu, cuda, or cuda:N.",
        shown="cuda if there is one",
        complete=completion.words("cpu", "cuda"),
    )


@grouped
def figures(
    names: Annotated[
        list[str] | None,
        argument("NAME", "Figures, by name, or all; no name: list the figures.", complete=completion.figures),
    ] = None,
    *,
    dataset: str | None = of_rows("--dataset NAME", "Rows on this data set alone.", complete=completion.datasets),
    rows: Rows,
    drawn: Drawn,
    inference: Inference,
    reading: ImageFolder,
    runs_dir: Path = RUNS_DIR,
    data_dir: Path = DATA_DIR,
    db: str | None = DB,
    plugins: list[Path] | None = PLUGINS,
    out: Path = of_output("--out DIR", "The folder to write NAME.png, NAME.svg, and NAME.csv into.", Path("figures")),
) -> None:
    """Draw figures for papers: NAME.png, NAME.svg, and NAME.csv, the numbers that are drawn."""
    from harness.figures.catalogue import PLOTS, plot_called

    if not names:
        _list(PLOTS)
        return
    if ALL in names and len(names) > 1:
        raise SettingError("all is refused beside other names: it means every figure; leave them out")
    chosen = list(PLOTS.values()) if names == [ALL] else [plot_called(name) for name in dict.fromkeys(names)]
    from harness.figures.material import Material
    from harness.figures.style import require_matplotlib
    from harness.figures.writing import refuse_unwritable, write_figures
    from harness.leaderboard.board import Selection
    from harness.store.store import Store

    require_matplotlib()
    refuse_unwritable(out)
    store = Store.read(there(db))
    material = Material(
        store=store,
        selection=Selection(dataset=dataset, sort=drawn.attack, methods=tuple(drawn.methods or ()), **vars(rows)),
        limit=drawn.limit,
        cost=drawn.cost,
        images=inference.images,
        part=inference.part,
        folder=inference.folder,
        folder_options={name: value for name, value in vars(reading).items() if value is not None},
        device=inference.device,
        runs_dir=runs_dir,
        data_dir=data_dir,
        plugins=tuple(plugins or ()),
    )
    files = _files(chosen, material, skip=names == [ALL])
    store.close()
    write_figures(out, files)
    print_lines(str(out / name) for name in files)


def _list(plots: dict[str, Plot]) -> None:
    """Print the figures, with what each needs."""
    width = max(len(name) for name in plots)
    for name, plot in plots.items():
        of_paper = f" ({plot.paper} of Gao et al. 2021)" if plot.paper else ""
        print_lines([f"{name:{width}}  {plot.title}{of_paper}", f"{'':{width}}  needs {plot.needs}"])


def _rendered(plot: Plot, material: Material) -> dict[str, bytes]:
    """The files of one figure; a note says where the PNG lacks letters."""
    from harness.figures.writing import rendered

    marks = plot.data(material)
    with warnings.catch_warnings(record=True) as seen:
        warnings.filterwarnings("always", message="Glyph")
        files = rendered(plot, marks)
    if any(str(one.message).startswith("Glyph") for one in seen):
        print_line(f"note: {plot.name}.png has no letters for a part of a name; {plot.name}.svg has them", error=True)
    return files


def _files(chosen: list[Plot], material: Material, *, skip: bool) -> dict[str, bytes]:
    """The files of the figures.

    Args:
        skip: leave out, with a note, a figure that cannot be made; one at least must be left.
    """
    files: dict[str, bytes] = {}
    for plot in chosen:
        try:
            files |= _rendered(plot, material)
        except StoreFault:  # a damaged database is no reason to leave a figure out
            raise
        except HarnessError as error:
            if not skip:
                raise HarnessError(f"{plot.name}: {error}") if len(chosen) > 1 else error from None
            print_line(f"note: {plot.name} is left out: {error}", error=True)
    if not files:
        raise HarnessError("no figure can be drawn of these rows: the notes above say why")
    return files

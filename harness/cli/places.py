"""The options that say where work is done: on which devices, by how many processes, and where files are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness.cli import completion
from harness.cli.options import DATA_DIR, DB, PLUGINS, RUNS_DIR, comma_separated, place
from harness.errors import SettingError


@dataclass(frozen=True, kw_only=True)
class Places:
    """The device, the number of processes, and where files are."""

    device: str | None = place(
        "--device DEVICE",
        "The device to compute on: cpu, cuda, or cuda:N.",
        shown="cuda if there is one",
        complete=completion.words("cpu", "cuda"),
    )
    devices: str | None = place(
        "--devices A,B",
        "The CUDA devices to work on side by side, such as cuda:0,cuda:1.",
        shown="all that there are, if --device is left out",
    )
    per_device: int = place("--per-device N", "Networks that share a CUDA device, side by side.", 1)
    workers: int | None = place(
        "--workers N",
        "Processes that work side by side, at most.",
        shown="one per core; on CUDA --per-device for each device",
    )
    time_limit: float | None = place(
        "--time-limit MINUTES", "Give up a training, or a block of images, that takes longer; go on with the rest."
    )
    executor: Literal["local", "ray"] = place(
        "--executor NAME",
        "Where the work is done: local, in processes of this machine; or ray, on the machines of a Ray cluster.",
        "local",
        complete=completion.words("local", "ray"),
    )
    ray_address: str | None = place(
        "--ray-address HOST:PORT",
        "The head of the Ray cluster; auto: the cluster that this machine belongs to.",
        shown="$RAY_ADDRESS, else this machine's cluster, else a new one",
    )
    allow_mixed: bool = place(
        "--allow-mixed",
        "Take workers of a cluster that have other versions of torch; they are recorded beside each result.",
        False,
    )
    plain: bool = place(
        "--plain", "Compute each network with its own layers alone; by default faster ones compute the same.", False
    )
    runs_dir: Path = RUNS_DIR
    data_dir: Path = DATA_DIR
    db: str | None = DB
    plugins: list[Path] | None = PLUGINS
    trackers: list[str] | None = place(
        "--track NAME[:PLACE]",
        "Have tensorboard, wandb, or mlflow follow the runs; may be repeated. PLACE is a folder, a project, or a URI.",
        complete=completion.words("tensorboard", "wandb", "mlflow"),
    )

    def __post_init__(self) -> None:
        names = comma_separated("--devices", self.devices)
        if names is not None and self.device is not None:
            raise SettingError("--device and --devices exclude each other; leave one out")
        if names is not None:
            object.__setattr__(self, "device", names[0])  # for which the work is planned

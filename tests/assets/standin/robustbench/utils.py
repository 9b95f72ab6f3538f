"""The loader: builds a model, fetches its weights into the model directory where they are not there, loads them."""

import os
from pathlib import Path
from typing import Any

import torch

from .model_zoo import model_dicts as all_models
from .model_zoo.enums import BenchmarkDataset, ThreatModel

OFFLINE = False


def download_gdrive_new(gdrive_id: str, fname_save: Path, model: Any) -> None:
    print(f"Downloading {fname_save} (gdrive_id={gdrive_id}).")
    if OFFLINE:
        raise ConnectionError("Max retries exceeded\nwith url: /uc?id=1t98")
    torch.save({"state_dict": model.state_dict()}, fname_save)


def load_model(
    model_name: str,
    model_dir: str | Path = "./models",
    dataset: str | BenchmarkDataset = BenchmarkDataset.cifar_10,
    threat_model: str | ThreatModel = ThreatModel.Linf,
    custom_checkpoint: str = "",
    norm: str | None = None,
) -> Any:
    dataset_, threat_model_ = BenchmarkDataset(dataset), ThreatModel(threat_model)
    model_dir_ = Path(model_dir) / dataset_.value / threat_model_.value
    model_path = model_dir_ / f"{model_name}.pt"
    info = all_models[dataset_][threat_model_][model_name]
    model = info["model"]()
    if not os.path.exists(model_dir_):  # noqa: PTH110
        os.makedirs(model_dir_)  # noqa: PTH103
    if not os.path.isfile(model_path):  # noqa: PTH113
        download_gdrive_new(info["gdrive_id"], model_path, model)
    model.load_state_dict(torch.load(model_path, map_location="cpu")["state_dict"])
    return model.train()

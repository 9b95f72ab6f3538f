"""Compare a training step and PGD-20 with textbook loops and with loops on torchattacks and foolbox, side by side.

The sides, interleaved in one process, the order rotating from round to round:

    fast               the harness as it is by default: the trainer's update, the evaluator's verdict
    plain              the harness with ``--plain``
    textbook           a loop as the official scripts have it (``benchmarks/textbook.py``)
    textbook, weights  TRADES alone: the same, with the weights' gradients in the attack, which the authors' script of
                       TRADES does not compute
    torchattacks       a loop on its PGD (TPGD for TRADES)
    foolbox            its LinfPGD, in evaluation alone; it computes the weights' gradients, too
    foolbox, frozen    the same on a network whose parameters need no gradient

Every side has its own copy of the network, the same images, as many steps, and the same allocator: ``harness`` has the
C library keep freed memory, and here all sides profit from that, which is harder for ``fast``. The case ``user`` shows
what a user gets instead: two processes, one with the allocator as Python starts with it, for the others, one for
``fast``. Their rounds take turns.

Expected before measuring, as ratios of the other side's time to that of ``fast`` (the goals that were set beforehand):

    training step, SAT, GAIRAT, TRADES, LRAT   ResNet-18: textbook 1.6, torchattacks 1.15
                                               smallcnn: textbook 2.2, torchattacks 1.5
    PGD-20 evaluation                          torchattacks 1.25, foolbox 1.9
    time of a step relative to SAT             at most GAIRAT 1.03, TRADES 1.20, LRAT 2.15
                                               (the arithmetic says 1.00, 1.17, 2.13)

    OMP_NUM_THREADS=1 python -m benchmarks.peers smallcnn                          # about 3 minutes on one core
    OMP_NUM_THREADS=1 python -m benchmarks.peers resnet18 --cases sat gairat       # under 9 minutes, as each of these
    OMP_NUM_THREADS=1 python -m benchmarks.peers resnet18 --cases trades lrat
    OMP_NUM_THREADS=1 python -m benchmarks.peers resnet18 --cases pgd methods user
    OMP_NUM_THREADS=1 python -m benchmarks.peers resnet18 --cases "pgd block"
    python -m benchmarks.peers resnet18 --device cuda --batch 128 --precision bfloat16     # the textbook loop: float32
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import Any, get_args

import torch

from benchmarks import textbook
from benchmarks.libraries import HAS_FOOLBOX, HAS_TORCHATTACKS, Foolbox, TorchAttacks
from benchmarks.measuring import RESULTS, Side, compared, in_turn, machine, merge, surroundings
from benchmarks.ours import METHODS, SETTINGS, Setting, Training, verdicts
from harness.runtime.allocator import keep_freed_memory
from harness.runtime.device import arithmetic, resolve_device
from harness.runtime.precision import Precision

FAST = "fast"
AT_LEAST = {
    "smallcnn": {"textbook": 2.2, "torchattacks": 1.5},
    "resnet18": {"textbook": 1.6, "torchattacks": 1.15},
    "pgd": {"torchattacks": 1.25, "foolbox": 1.9},
}
AT_MOST = {"gairat": 1.03, "trades": 1.20, "lrat": 2.15}
CALLS = {"smallcnn": 4, "resnet18": 1}  # of a side in one round
BLOCK = {"smallcnn": 360, "resnet18": 32}  # the digits' test images, which are one block; of 500 images, a part
TEXTBOOK = {"sat": textbook.sat, "gairat": textbook.gairat, "trades": textbook.trades, "lrat": textbook.lrat}
CASES = {
    "smallcnn": ("sat", "gairat", "trades", "lrat", "pgd", "pgd block", "methods", "user"),
    "resnet18": ("sat", "gairat", "trades", "lrat", "pgd", "pgd block", "methods", "user"),
}


def others(setting: Setting, method: str, device: torch.device) -> dict[str, Side]:
    """One training step of every side that is not the harness."""
    x, y = setting.examples(setting.batch, device)
    threat, protocol = setting.training_threat, setting.protocol.train

    def fresh() -> tuple[torch.nn.Module, torch.optim.Optimizer]:
        model, momentum, decay = setting.model(device), protocol.momentum, protocol.weight_decay
        return model, torch.optim.SGD(model.parameters(), lr=protocol.lr, momentum=momentum, weight_decay=decay)

    sides: dict[str, Side] = {"textbook": partial(TEXTBOOK[method], *fresh(), x, y, threat)}
    if method == "trades":
        sides["textbook, weights"] = partial(textbook.trades, *fresh(), x, y, threat, weights=True)
    if HAS_TORCHATTACKS:
        model, optimizer = fresh()
        sides["torchattacks"] = partial(getattr(TorchAttacks(model, threat), method), optimizer, x, y)
    return sides


def ours(
    setting: Setting, method: str, device: torch.device, folder: Path, precision: Precision = "float32", *, fast: bool
) -> Side:
    """One training step of the harness."""
    trained = Training(setting, method, device, folder, fast=fast, precision=precision)
    x, y = setting.examples(setting.batch, device)

    def update() -> None:
        with arithmetic(device, precision):
            trained.update(x, y)

    return update


def training(
    setting: Setting, method: str, device: torch.device, folder: Path, precision: Precision = "float32"
) -> dict[str, Side]:
    """One training step of every side; the precision is that of the harness alone."""
    own = {name: ours(setting, method, device, folder, precision, fast=name == FAST) for name in (FAST, "plain")}
    return {**own, **others(setting, method, device)}


def evaluation(setting: Setting, images: int, device: torch.device) -> dict[str, Side]:
    """PGD-20 and the verdicts of every side."""
    x, y = setting.examples(images, device)
    threat = setting.evaluation_threat

    def model() -> torch.nn.Module:
        return setting.model(device).eval()

    sides: dict[str, Side] = {
        FAST: partial(verdicts, model(), "pgd", x, y, threat, fast=True),
        "plain": partial(verdicts, model(), "pgd", x, y, threat, fast=False),
        "textbook": partial(textbook.pgd_evaluation, model(), x, y, threat),
    }
    if HAS_TORCHATTACKS:
        sides["torchattacks"] = partial(TorchAttacks(model(), threat).evaluate, x, y)
    if HAS_FOOLBOX:
        sides["foolbox"] = partial(Foolbox(model(), threat).evaluate, x, y)
        sides["foolbox, frozen"] = partial(Foolbox(model().requires_grad_(False), threat).evaluate, x, y)
    return sides


def measured(
    setting: Setting, case: str, device: torch.device, rounds: int, seconds: float, precision: Precision = "float32"
) -> dict[str, Any]:
    """One case: every side's seconds, the ratios to ``fast`` (or to SAT), and the goals."""
    with tempfile.TemporaryDirectory() as folder:
        if case == "user":
            return user(setting.name, device, rounds, seconds)
        images = BLOCK[setting.name] if case == "pgd block" else setting.batch
        if case == "methods":
            sides = {name: ours(setting, name, device, Path(folder), precision, fast=True) for name in METHODS}
        elif case.startswith("pgd"):
            sides = evaluation(setting, images, device)
        else:
            sides = training(setting, case, device, Path(folder), precision)
        name, found = in_turn(sides, device, rounds, seconds, CALLS[setting.name])
    goals = (
        {"at_most": AT_MOST}
        if case == "methods"
        else {"at_least": AT_LEAST.get(case.split()[0], AT_LEAST[setting.name])}
    )
    return {"batch": images, "clock": name, **goals, **compared(found, "sat" if case == "methods" else FAST)}


def user(network: str, device: torch.device, rounds: int, seconds: float) -> dict[str, Any]:
    """A step of SAT: the others in a process with the C library's own allocator settings, ``fast`` in another one."""
    started, found = time.perf_counter(), dict[str, list[float]]()
    with (
        ProcessPoolExecutor(1, get_context("spawn")) as unset,
        ProcessPoolExecutor(1, get_context("spawn")) as kept,
    ):
        for number in range(rounds):
            if number >= 3 and time.perf_counter() - started > seconds:
                break
            pools = [(unset, False), (kept, True)]
            for pool, own in pools if number % 2 else pools[::-1]:
                clock, times = pool.submit(one_round, network, str(device), own, torch.get_num_threads()).result()
                for side, value in times.items():
                    found.setdefault(side, []).append(value)
    return {"batch": SETTINGS[network].batch, "clock": clock, "at_least": {}, **compared(found, FAST)}


_SIDES: dict[bool, dict[str, Side]] = {}  # of a process that serves the case ``user``


def one_round(network: str, device: str, own: bool, threads: int) -> tuple[str, dict[str, float]]:
    """One round in a process of its own: ``fast`` with kept memory, or the others without."""
    torch.set_num_threads(threads)
    where, setting = torch.device(device), SETTINGS[network]
    warm = own in _SIDES
    if not warm:
        if own:
            keep_freed_memory()
        folder = Path(tempfile.gettempdir())  # nothing is written into it
        sides = {FAST: ours(setting, "sat", where, folder, fast=True)} if own else others(setting, "sat", where)
        _SIDES[own] = sides
    clock, found = in_turn(_SIDES[own], where, 1, 0.0, CALLS[network], warm=warm)
    return clock, {side: values[0] for side, values in found.items()}


def main() -> None:
    """Measure, print, and write the cases into ``results/peers-DEVICE.json``."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("network", choices=CASES, help="the network")
    parser.add_argument("--cases", nargs="+", help="of sat, gairat, trades, lrat, pgd, pgd block, methods, user; all")
    parser.add_argument("--rounds", type=int, default=15, help="at most so many rounds of a case")
    parser.add_argument("--minutes", type=float, default=8.0, help="for all cases; each makes three rounds at least")
    parser.add_argument("--batch", type=int, help="images of a step; 16 for resnet18, 128 for smallcnn")
    parser.add_argument("--precision", default="float32", choices=get_args(Precision), help="of the harness's training")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, or cuda:0")
    parser.add_argument("--out", type=Path, help="the file to write")
    chosen = parser.parse_args()
    device, setting = resolve_device(chosen.device), SETTINGS[chosen.network]
    setting = replace(setting, batch=chosen.batch or setting.batch)
    possible = [case for case in CASES[chosen.network] if case != "user" or device.type == "cpu"]  # of the C library
    cases = chosen.cases or possible
    for case in cases:
        if case not in possible:
            parser.error(f"{chosen.network} has no case {case!r} here; there are {', '.join(possible)}")
    if device.type == "cpu":
        keep_freed_memory()
    file: Path = chosen.out or RESULTS / f"peers-{device.type}.json"
    ends = time.perf_counter() + 60 * chosen.minutes
    packages = ["torch", *(name for name in ("torchattacks", "foolbox") if find_spec(name) is not None)]
    for number, case in enumerate(cases):
        seconds = (ends - time.perf_counter()) / (len(cases) - number)
        found = measured(setting, case, device, chosen.rounds, seconds, chosen.precision)
        entry = {
            "network": chosen.network,
            "case": case,
            "precision": chosen.precision,
            **machine(device, *packages),
            **surroundings(),
            **found,
        }
        merge(file, {"benchmark": "peers"}, {f"{chosen.network} {case}": entry})
        for side, ratio in found["ratios"].items():
            low, high = ratio["quartiles"]
            least = found.get("at_least", found.get("at_most", {})).get(side)
            goal = "" if least is None else f", goal {'at most' if case == 'methods' else 'at least'} {least}"
            text = f"{side} / {found['base']} {ratio['median']:.3f} (quartiles {low:.3f} to {high:.3f}){goal}"
            print(f"{chosen.network} {case}: {text}; {found['rounds']} rounds", flush=True)
    print(file, file=sys.stderr)


if __name__ == "__main__":
    main()

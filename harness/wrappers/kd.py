"""Knowledge distillation from a robust and a standard teacher."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated

from annotated_types import Gt, Interval
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from typing_extensions import Doc

from harness.errors import PluginFault, SettingError
from harness.plugin.given import Trained
from harness.plugin.method import Points, Step
from harness.plugin.soft_labels import answers, distilled
from harness.plugin.wrapper import Backward, Loss, Wrapper


@dataclass(frozen=True, kw_only=True)
class KD(Wrapper):
    """Part of the loss is distilled on the variant from two trained teachers (Chen et al., ICLR 2021, "KD&SWA", Eq. 3).

    loss = (1 - a - b) L + a t^2 KL(R_t(x_adv) || f_t(x_adv)) + b t^2 KL(S_t(x_adv) || f_t(x_adv)), with L the method's
    loss, R the robust and S the standard teacher, and the index t for logits divided by the temperature. The teachers
    are of the network's own method and of standard training, so it is self-training. The shares a and b and the
    temperature are the defaults of the authors' code, with which its command trains. That command, KD&SWA, averages
    the weights from epoch 55 of 200 on, too: ``--wrap kd --wrap swa --set swa.start=0.275``. Its learning rate drops
    after epochs 50 and 150, and its robust teacher is the checkpoint that is best under attack on images held out.

    It goes with every method that crafts one variant in an update. Name it after AWP in the command, and AWP's
    perturbation ascends the whole loss; named before, it ascends the method's loss alone. The same holds for SAM.

    Departs: the variant passes the network once more for the distilled terms, with batch-norm's running statistics left
    as they are; the authors' code shares the pass of the method's loss. That code has cross-entropies in place of the
    divergences, which differ by the teachers' entropies, so the gradient is the same. It crafts in training mode.

    Raises:
        PluginFault: the method crafts no variant, or several.
    """

    bibtex = """
@inproceedings{chen2021robust,
  author    = {Tianlong Chen and Zhenyu Zhang and Sijia Liu and Shiyu Chang and Zhangyang Wang},
  title     = {Robust Overfitting May Be Mitigated by Properly Learned Smoothening},
  booktitle = {International Conference on Learning Representations},
  year      = {2021},
}
"""

    robust: Annotated[Trained, Doc("the robust teacher, a network that was trained before")] = ""
    plain: Annotated[Trained, Doc("the standard teacher, a network of standard training")] = ""
    robust_share: Annotated[float, Interval(ge=0, le=1), Doc("a, the robust teacher's share of the loss")] = 0.6
    plain_share: Annotated[float, Interval(ge=0, le=1), Doc("b, the standard teacher's share of the loss")] = 0.1
    temperature: Annotated[float, Gt(0), Doc("t, by which logits are divided")] = 2.0

    def check(self) -> None:
        if self.robust_share + self.plain_share > 1:
            raise SettingError("robust_share + plain_share is over 1, which leaves the method's loss a negative share")

    def backward(self, step: Step, loss: Loss, inner: Backward) -> Tensor:
        return inner(step, partial(self._taught, loss))

    def _taught(self, loss: Loss, step: Step) -> Tensor:
        recorded = replace(step.replayable(), log=step.log, tally=step.tally)
        own = loss(recorded)
        variants = [one for crafted in recorded.crafted for one in crafted if not isinstance(one, Points)]
        if len(variants) != 1:
            raise PluginFault(
                f"wrapper 'kd' distils on the one variant of an update, and this method crafts {len(variants)}; take a"
                " method that crafts one, such as sat or trades, or leave --wrap kd out"
            )
        x_adv = variants[0].x
        with _statistics_kept(step.model):
            logits = step.model(x_adv)
        taught = [answers(self.networks[name], x_adv) for name in ("robust", "plain")]
        robust, plain = (distilled(one, logits, self.temperature).mean() for one in taught)
        shares = self.robust_share + self.plain_share
        return (1 - shares) * own + self.robust_share * robust + self.plain_share * plain


@contextlib.contextmanager
def _statistics_kept(model: nn.Module) -> Iterator[None]:
    """Inside, batch-norm in training mode normalises by the batch, and its running statistics stay as they are."""
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True

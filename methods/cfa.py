"""Class-wise calibrated fair adversarial training."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from harness.methods._class_accuracies import ClassCalibrated
from harness.plugin.adversary import CrossEntropy
from harness.plugin.method import Step


@dataclass(frozen=True, kw_only=True)
class CFA(ClassCalibrated):
    """SAT with a radius for each class, greater the more often it is right (Wei et al., CVPR 2023, "AT+CFA").

    The radius of class k is (lambda_1 + t_k) epsilon, where t_k is the accuracy of the class on its variants in the
    epoch before. The steps keep their length, as in the released code.

    Departs: there is no weight averaging (FAWA), which chooses epochs by the accuracy of the worst class on images that
    are held out: a method has no such images, and does not choose what a checkpoint holds. The released code crafts in
    training mode; here it is evaluation mode, as for every method. After each update that code passes the images in
    training mode, too, so its batch-norm's running statistics are of images, variants, and their iterates; here of
    variants alone. It divides a class's count by a tenth of the epoch's images; here by the class's own. Without FAWA
    the figures are not those of the paper's rows "+CFA".
    """

    formula = "l(f(x'), y), |x' - x| <= (0.5 + t_y) epsilon, t_y: accuracy of class y in the epoch before; x' ascends l"

    def loss(self, step: Step) -> Tensor:
        variant = step.perturb(CrossEntropy(), radii=self.radii(step))
        adversarial = step.model(variant.x)
        self.learn(step, adversarial)
        return step.cross_entropy(adversarial).mean()

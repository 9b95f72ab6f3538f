"""Whether an attack's figures can be had again: asked before anything is trained or written."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterable

from harness.conformance import Violation
from harness.conformance.attack import repeatable
from harness.plugin.attack import Attack
from harness.registry.faults import fault
from harness.registry.shipped import ships
from harness.runtime.process import process_kept


def refuse_unrepeatable(attacks: Iterable[Attack]) -> None:
    """Try each attack that does not ship on three small images, twice alike; what ships is held to it by the tests.

    One that cannot be tried there is tried by its evaluation.

    Raises:
        PluginFault: an attack keeps something from call to call, or draws from elsewhere than its generator; names it.
    """
    for attack in attacks:
        if ships(type(attack)):
            continue
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings(), process_kept():
            warnings.simplefilter("ignore")
            try:
                repeatable(attack)
            except Violation as violation:
                raise fault(attack, str(violation)) from None
            except (Exception, SystemExit):  # it may ask for images of another size, or for another network
                continue

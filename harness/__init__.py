"""Find the training method that gives the most robust network: one protocol, every seed, the uncertainty shown."""

from harness.registry.moved import tell_of_moved_modules

__version__ = "0.1.0"

tell_of_moved_modules()

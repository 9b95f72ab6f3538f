"""Find the training method that gives the most robust network: one protocol, every seed, the uncertainty shown."""

__version__ = "0.1.0"

"""The Python interface: what ``harness`` offers programs and notebooks. The command line is built on it."""

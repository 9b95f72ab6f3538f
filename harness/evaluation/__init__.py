"""Attacking a trained network: verdicts of every example, block by block, and their statistics."""

"""Training one network: batches, the loop, checkpoints, resume."""

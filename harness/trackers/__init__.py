"""Trackers: TensorBoard, Weights & Biases, MLflow, or the user's own, which follow a run from outside."""

"""Models that harness did not train: opened, recognised or refused, and wrapped to map images in [0, 1] to logits."""

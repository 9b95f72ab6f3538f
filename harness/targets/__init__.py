"""Models that harness did not train: opened, recognised or refused, and brought to images in [0, 1] and logits."""

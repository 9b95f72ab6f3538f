"""A stranger's package: one training method and one attack, found by their entry points."""

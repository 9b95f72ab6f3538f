"""The upgrade steps: one module for each released schema."""

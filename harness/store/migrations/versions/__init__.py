"""The steps, one a released schema."""

"""The shared protocols, one TOML file each, and what a run under one of them is."""

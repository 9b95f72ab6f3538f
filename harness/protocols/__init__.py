"""The shared protocols, one TOML file each, and the identity of a run under a protocol."""

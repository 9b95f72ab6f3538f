"""Where and how a computation runs: device, arithmetic, random generators, torch's modes, and their provenance."""

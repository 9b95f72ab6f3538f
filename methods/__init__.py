"""The training methods, one a file. A new file here is a new method; modules that begin with _ hold shared formulas."""

"""The training methods, one in each file. A new file here adds a method; files that begin with _ share formulas."""

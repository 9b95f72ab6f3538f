"""The paper's tables as ordinary runs, and what was measured beside what is reported."""

"""The networks that ship with harness, one in each file; discovery finds them like any plugin."""

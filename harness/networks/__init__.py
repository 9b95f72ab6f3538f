"""The networks that come with harness, one a file; found by scanning, like any plugin."""

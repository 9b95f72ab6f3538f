"""The wrappers of the update that come with harness, one a file; found by scanning, like any plugin."""

"""The data sets that come with harness, one a file; found by scanning, like any plugin."""

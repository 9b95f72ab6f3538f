"""Checks of rigour: warning signs that a robust accuracy may not be what it seems.

A check reads the model itself on a fixed subset of images, or the verdicts that are stored. A flag is a reason to look,
not a verdict.
"""

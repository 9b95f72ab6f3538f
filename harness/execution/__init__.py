"""Runs work items: in this process, or in several on this machine; other engines fit the same seam."""

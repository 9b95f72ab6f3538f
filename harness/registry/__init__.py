"""Finds plugins, imports the files of users, names their code, and says when one is at fault."""

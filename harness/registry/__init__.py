"""Finds plugins, imports users' files, identifies their code, and says which plugin caused an error."""

"""Performs items on the machines of a Ray cluster; what an item needs travels to its worker, its files come home."""

"""Figures for papers: each is data from the store, as rows, and a drawing of these rows, by matplotlib, alone."""

"""Reproduces the LRAT paper's tables with ordinary runs, and compares measured with reported figures."""

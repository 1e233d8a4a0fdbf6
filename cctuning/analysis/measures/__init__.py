"""Measures of grids of answers: one file per measure, each quantity per language with 95 % intervals."""

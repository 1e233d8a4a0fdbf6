"""What grids of answers say: one file per measure, each quantity per language with 95 % intervals."""

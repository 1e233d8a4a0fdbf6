"""Two or more evaluations on the same questions."""

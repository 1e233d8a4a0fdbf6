"""Results of an evaluation: scores, tables, figures."""

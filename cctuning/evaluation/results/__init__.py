"""What came out of an evaluation: scores, tables, figures."""

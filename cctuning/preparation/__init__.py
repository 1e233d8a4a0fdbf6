"""Scripts that look at and prepare training data: `python -m data_prep.<script> --help`."""

"""Scripts that look at and prepare training data: `cctuning prepare SCRIPT --help`."""

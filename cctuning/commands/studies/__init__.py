"""Studies: several models trained, fitted and evaluated alike, and their results side by side."""

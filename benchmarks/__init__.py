"""Speed, as ratios against a named rival that is measured in the same run."""

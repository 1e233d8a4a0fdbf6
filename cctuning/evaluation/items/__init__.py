"""Questions: benchmarks, their items, and where these are read from."""

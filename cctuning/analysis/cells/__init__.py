"""Results of sweeps: Parquet files of cells, and the grids that measures are computed from."""

"""The fit: least squares from the model's own outputs to its outputs on English."""

from cctuning.transform.least_squares import LeastSquares

__all__ = ["LeastSquares"]

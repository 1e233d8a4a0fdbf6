"""Figures of a study for papers, as PNG and SVG."""

from cctuning.analysis.figures.draw import draw_figures

__all__ = ["draw_figures"]

"""A look at figures for tests."""

from matplotlib.figure import Figure
from matplotlib.legend import Legend


def covering_legends(figure: Figure) -> list[Legend]:
    """The legends that lie over what is drawn in any axes."""
    figure.draw_without_rendering()
    inside = [axes.get_window_extent().shrunk(0.99, 0.99) for axes in figure.axes]
    return [legend for legend in figure.findobj(Legend) if legend.get_window_extent().count_overlaps(inside)]

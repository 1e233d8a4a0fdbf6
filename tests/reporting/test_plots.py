"""One style for all figures: it reaches their files, and leaves no trace in the settings of others."""

import matplotlib
import numpy as np
import pytest
from matplotlib import image
from matplotlib import pyplot as plt

from cctuning.reporting.plots import layer_ticks, save, style, subplots

pytestmark = pytest.mark.renders


def draw(*paths):
    with style():
        figure, axes = subplots((4, 3))
        axes.plot([0, 1], [0, 1])
        save(figure, *paths)


def test_files_are_the_same_bytes_each_time_and_have_their_size(tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        draw(*(tmp_path / folder / f"a.{ending}" for ending in ("png", "svg")))
    for name in ("a.png", "a.svg"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert image.imread(tmp_path / "one" / "a.png").shape[:2] == (600, 800)


def test_a_callers_settings_backend_and_figures_stay_as_they_were(tmp_path):
    settings, backend = dict(matplotlib.rcParams), matplotlib.get_backend()
    draw(tmp_path / "a.png")
    assert dict(matplotlib.rcParams) == settings
    assert matplotlib.get_backend() == backend
    assert not plt.get_fignums()


@pytest.mark.parametrize("layers", [1, 2, 6, 12, 28, 32, 80, 126])
def test_layers_on_an_axis(layers):
    ticks = layer_ticks(layers)
    assert ticks[0] == 0 and ticks[-1] < layers
    assert len(ticks) <= 8
    assert len(set(np.diff(ticks))) <= 1


def test_a_title_that_is_wider_than_its_figure_is_broken(tmp_path):
    with style():
        figure, _ = subplots((3, 2))
        title = figure.suptitle(" ".join(["words"] * 30))
        save(figure, tmp_path / "a.png")
    box = title.get_window_extent()
    assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1


def test_labels_of_all_axes_are_inside_of_the_figure(tmp_path):
    with style():
        figure, _ = subplots((7, 3), 1, 2)
        labels = [figure.supylabel("source layer, from 0"), figure.supxlabel("target layer, from 0")]
        save(figure, tmp_path / "a.png")
    for label in labels:
        box = label.get_window_extent()
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1


def test_a_dollar_sign_begins_no_formula_but_powers_stay(tmp_path):
    with style():
        figure, axes = subplots((4, 3))
        axes.plot([1, 1e6], [0, 1], label="$\\frac$")
        axes.set(xscale="log", title="$x^", xlabel="$$")
        axes.set_yticks([0, 1], ["$\\y$", "b"])
        axes.legend()
        figure.suptitle("a $\\x$")
        save(figure, tmp_path / "a.svg", tmp_path / "a.png")
    assert axes.get_xticklabels()[0].get_parse_math()
    assert not axes.title.get_parse_math() and not axes.get_yticklabels()[0].get_parse_math()

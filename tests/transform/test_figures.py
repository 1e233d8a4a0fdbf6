import pytest
from matplotlib import image

from cctuning.transform.figures import plot_error_per_layer, plot_learning_curve


def report(**changes):
    """What `fit_transform` reports, as far as figures show it."""
    curve = [
        {"pairs": pairs, "relative_error": 0.9 - pairs / 100, "plain_relative_error": 1.5 - pairs / 50}
        for pairs in (8, 16, 32)
    ]
    layers = {
        "relative_error": [0.5, 0.6],
        "r2": [0.4, 0.1],
        "cosine": [0.9, 0.8],
        "identity_r2": [-5.0, 0.0],
    }
    values = {
        "ridge": 3.0,
        "rows_per_dimension": 1.6,
        "held_out_pairs": 10,
        "identity": {"relative_error": 0.8},
        "layer_mean": {"relative_error": 0.7},
        "learning_curve": curve,
        "per_layer": layers,
    }
    return values | changes


@pytest.mark.renders
@pytest.mark.parametrize("plot", [plot_learning_curve, plot_error_per_layer])
def test_figures_are_written(plot, tmp_path):
    plot(report(), tmp_path / "figure.png")
    pixels = image.imread(tmp_path / "figure.png")
    assert pixels.shape[0] > 400 and pixels.std() > 0.01


def test_what_has_no_value_is_left_out(tmp_path):
    nothing = {"relative_error": None}
    curve = [{"pairs": 9, "relative_error": None, "plain_relative_error": None}]
    empty = report(identity=nothing, layer_mean=nothing, learning_curve=curve)
    empty["per_layer"] = {name: [None, None] for name in empty["per_layer"]}
    plot_learning_curve(empty, tmp_path / "curve.png")
    plot_error_per_layer(empty, tmp_path / "layers.png")
    assert len(list(tmp_path.iterdir())) == 2

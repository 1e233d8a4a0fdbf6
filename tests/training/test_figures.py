import json
import math
import random

import pytest
from matplotlib import image

from cctuning.reporting.plots import save
from cctuning.training import figures
from cctuning.training.figures import plot_layers, plot_loss
from cctuning.training.metrics import read_metrics
from tests.figures import covering_legends

pytestmark = [pytest.mark.slow, pytest.mark.renders]

LANGUAGES = (
    "ar",
    "bn",
    "de",
    "en",
    "es",
    "fi",
    "fr",
    "hi",
    "id",
    "ja",
    "ko",
    "pt",
    "ru",
    "sw",
    "ta",
    "te",
    "th",
    "tr",
)


def metrics(steps, *, layers=32, languages=LANGUAGES, entropy=True, connected=True):
    """A made-up run: losses fall, the Decision Maker settles on one layer; each log lacks some languages."""
    random.seed(0)
    lines = []
    for step in range(1, steps + 1):
        fall = math.exp(-3 * step / steps)
        line = {"step": step * 10, "loss": 1 + fall, "learning_rate": 1e-5}
        line |= {
            f"loss/{name}": 0.5 + number / 9 + fall
            for number, name in enumerate(languages)
            if random.random() < 0.7
        }
        if connected:
            chosen = 1 - 0.9 * fall
            shares = [
                chosen if layer == 3 % layers else (1 - chosen) / max(layers - 1, 1)
                for layer in range(layers)
            ]
            line |= {f"decision_maker/layer_{layer:02d}": share for layer, share in enumerate(shares)}
        if connected and entropy:
            line["decision_maker/entropy"] = math.log(layers) * fall
        lines.append(line)
    return lines


def is_drawn(path):
    """A picture of some size that is not all white."""
    pixels = image.imread(path)[..., :3]
    return pixels.shape[0] > 300 and pixels.shape[1] > 600 and pixels.min() < 0.5


def coloured_share(path):
    pixels = image.imread(path)[..., :3]
    return (pixels.max(-1) - pixels.min(-1) > 0.1).mean()


@pytest.mark.parametrize("steps", [1, 6, 300])
@pytest.mark.parametrize("layers", [1, 3, 32])
def test_a_connected_run_has_both_figures(tmp_path, monkeypatch, steps, layers):
    drawn = []
    monkeypatch.setattr(figures, "save", lambda figure, path: (drawn.append(figure), save(figure, path)))
    logged = metrics(steps, layers=layers)
    plot_loss(logged, tmp_path / "loss.png")
    assert plot_layers(logged, tmp_path / "layers.png")
    assert is_drawn(tmp_path / "loss.png") and is_drawn(tmp_path / "layers.png")
    assert coloured_share(tmp_path / "layers.png") > 0.4
    assert not any(map(covering_legends, drawn))


def test_plain_fine_tuning_has_no_layers_to_draw(tmp_path):
    assert not plot_layers(metrics(5, connected=False), tmp_path / "layers.png")
    assert not (tmp_path / "layers.png").exists()


def test_a_fixed_layer_has_no_entropy_to_draw(tmp_path):
    assert plot_layers(metrics(5, entropy=False), tmp_path / "layers.png")
    assert is_drawn(tmp_path / "layers.png")


def test_one_language_and_none(tmp_path):
    for languages in (("und",), ()):
        plot_loss(metrics(3, languages=languages), tmp_path / "loss.png")
        assert is_drawn(tmp_path / "loss.png")


def test_a_run_shorter_than_a_log_interval_has_nothing_to_draw_and_does_not_fail(tmp_path):
    plot_loss([], tmp_path / "loss.png")
    assert not plot_layers([], tmp_path / "layers.png")
    assert (tmp_path / "loss.png").exists()


def test_only_lines_with_a_training_loss_are_read(tmp_path):
    lines = [
        {"step": 1, "loss": 2.0},
        {"step": 1, "eval_loss": 3.0},
        {"step": 2, "train_runtime": 1.0, "train_loss": 2.0},
    ]
    (tmp_path / "metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    assert read_metrics(tmp_path / "metrics.jsonl") == lines[:1]

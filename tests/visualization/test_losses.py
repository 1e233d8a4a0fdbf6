import csv
import io
import json
import math

import pytest
from matplotlib import image

from cctuning.training.runs import RunError
from cctuning.visualization.loss_figure import plot_losses
from cctuning.visualization.losses import losses_csv, read_losses, smooth


def line(step, loss, **tokens):
    return {"step": step, "loss": loss} | {f"tokens/{language}": count for language, count in tokens.items()}


def run(folder, lines, *, name=None, tail=""):
    folder.mkdir(parents=True)
    text = "".join(json.dumps(one) + "\n" for one in lines)
    (folder / "metrics.jsonl").write_text(text + tail)
    if name:
        (folder / "recipe.yaml").write_text(f"run_name: {name}\n")
    return str(folder)


def test_losses_steps_and_tokens_of_a_run(tmp_path):
    lines = [line(1, 3.0, de=4), line(10, 2.0, de=5, sw=6), {"step": 10, "eval": 1}, line(20, 1.0)]
    (found,) = read_losses([run(tmp_path / "a", lines, name="mine")])
    assert found.name == "mine"
    assert (found.steps, found.tokens, found.losses) == ([1, 10, 20], [4, 15, 15], [3.0, 2.0, 1.0])
    assert found.smoothed == found.losses
    rows = list(csv.DictReader(io.StringIO(losses_csv([found]))))
    assert rows[1] == {"run": "mine", "step": "10", "label_tokens": "15", "loss": "2.0", "smoothed": "2.0"}


def test_a_line_that_a_kill_has_cut_short_does_not_count(tmp_path):
    folder = run(tmp_path / "a", [line(1, 3.0), line(2, 2.0)], tail='{"step": 3, "lo')
    assert read_losses([folder])[0].steps == [1, 2]


def test_losses_that_are_not_finite_are_left_out_and_counted(tmp_path):
    folder = run(tmp_path / "a", [line(1, 3.0, de=1), line(2, float("nan"), de=1), line(3, 1.0, de=1)])
    (found,) = read_losses([folder])
    assert (found.steps, found.tokens, found.left_out) == ([1, 3], [1, 3], 1)
    assert all(math.isfinite(loss) for loss in found.smoothed)


def test_runs_of_one_name_are_told_apart_by_their_folders(tmp_path):
    folders = [run(tmp_path / name, [line(1, 3.0)], name="tiny") for name in ("a", "b")]
    assert [found.name for found in read_losses(folders)] == folders


def test_smoothing_keeps_lines_straight_and_takes_noise_out():
    straight = [0.5 * number for number in range(40)]
    assert smooth(straight)[2:-2] == pytest.approx(straight[2:-2])
    noise = [(-1.0) ** number for number in range(40)]
    assert max(map(abs, smooth(noise)[2:-2])) == pytest.approx(0.2)
    assert smooth([1.0, 5.0]) == [1.0, 5.0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"holds no metrics.jsonl, which cctuning train writes; there are runs in inner"),
        ("", "holds no training loss yet"),
        ('{"step": 1}\n', "holds no training loss yet"),
        ('{"step": 1, "loss": 2.0\n{"step": 2, "loss": 2.0}\n', "line 1: is broken JSON"),
        ('3\n{"step": 2, "loss": 2.0}\n', "metrics.jsonl, line 1: is a number"),
        ('{"loss": 2.0}\n', "line 1: step: is missing"),
        ('{"step": 1, "loss": "low"}\n', "line 1: loss: is text, must be a number"),
        ('{"step": 1, "loss": NaN}\n', "no loss is finite"),
    ],
)
def test_a_folder_without_losses_is_told(tmp_path, content, message):
    folder = tmp_path / "a"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "metrics.jsonl").write_text("")
    if content is not None:
        (folder / "metrics.jsonl").write_text(content)
    with pytest.raises(RunError, match=message):
        read_losses([str(folder)])


def test_the_same_run_twice_is_told(tmp_path):
    folder = run(tmp_path / "a", [line(1, 3.0)])
    with pytest.raises(RunError, match="is there twice"):
        read_losses([folder, folder])


@pytest.mark.renders
@pytest.mark.parametrize("x", ["step", "tokens"])
def test_the_figure_holds_all_runs(tmp_path, x):
    folders = [
        run(tmp_path / f"run{number}", [line(step, 5 / step + number, de=9) for step in range(1, 60)])
        for number in range(9)
    ]
    paths = [tmp_path / f"losses.{kind}" for kind in ("png", "svg")]
    plot_losses(read_losses(folders), paths, x=x)
    assert image.imread(paths[0]).shape[1] > 1000
    assert "<svg" in paths[1].read_text()

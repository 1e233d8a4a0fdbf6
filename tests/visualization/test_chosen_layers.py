import csv
import io

import pytest
from matplotlib import image

from cctuning.evaluation.asking.sample_files import ResultsError
from cctuning.visualization.chosen_layers import choices_csv, read_choices
from cctuning.visualization.layer_figure import plot_choices
from tests.json_lines import read_lines, write_lines
from tests.samples import samples, write_evaluation


def made(tmp_path, name="results", **changes):
    """An evaluation of two benchmarks; the layers are `doc_id % 3`, as `tests.samples` makes them."""
    content = samples("xnli", ("en", "sw"), 10) | samples("xcopa", ("sw",), 8)
    for rows in content.values():
        for sample in rows:
            sample.update(changes)
    return write_evaluation(tmp_path / name, content, model_path=str(tmp_path / "model"))


def test_answers_are_counted_by_layer(tmp_path):
    folder = made(tmp_path)
    path = folder / "samples_xcopa_sw.jsonl"
    rows = read_lines(path)
    rows[0] |= {"connected": False, "layer": None}
    write_lines(path, rows)
    (one,) = read_choices([str(folder)])
    assert one.name == "model" and one.layers == 3
    assert [(task.benchmark, task.language) for task in one.tasks] == [
        ("XNLI", "en"),
        ("XNLI", "sw"),
        ("XCOPA", "sw"),
    ]
    assert one.tasks[0].counts == {0: 4, 1: 3, 2: 3}
    assert one.tasks[2].counts == {0: 2, 1: 3, 2: 2} and one.tasks[2].without == 1
    rows = list(csv.DictReader(io.StringIO(choices_csv([one]))))
    assert len(rows) == 3 * 3 + 1
    assert list(rows[0].values()) == ["model", "XNLI", "en", "0", "4", "0.4"]
    assert (rows[-1]["layer"], rows[-1]["answers"]) == ("", "1")
    assert sum(int(row["answers"]) for row in rows) == 10 + 10 + 8


@pytest.mark.parametrize("place", ["model", "moved"])
def test_all_layers_of_the_model_are_shown_where_it_is_still_there(tmp_path, place):
    model = tmp_path / place
    folder = made(model / "evaluation", "xnli") if place == "moved" else made(tmp_path)
    model.mkdir(exist_ok=True)
    (model / "config.json").write_text('{"num_hidden_layers": 7}')
    assert read_choices([str(folder)])[0].layers == 7


def test_names_are_given_or_from_the_models(tmp_path):
    folders = [str(made(tmp_path, name)) for name in ("a", "b")]
    assert [one.name for one in read_choices(folders)] == ["a", "b"]
    assert [one.name for one in read_choices(folders, ["x", "y"])] == ["x", "y"]
    with pytest.raises(ValueError, match="names has 1 names"):
        read_choices(folders, ["x"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"connected": False, "layer": None}, r"none was connected \(inference=monolingual\)"),
        ({"connected": True, "layer": None}, "mixes all layers"),
    ],
)
def test_answers_without_a_chosen_layer_are_told(tmp_path, changes, message):
    with pytest.raises(ResultsError, match=message):
        read_choices([str(made(tmp_path, **changes))])


@pytest.mark.renders
def test_the_figure_has_a_row_for_each_language(tmp_path):
    first = made(tmp_path, "a")
    second = write_evaluation(tmp_path / "b", samples("xnli", ("sw",), 6))
    choices = read_choices([str(first), str(second)], ["first", "second"])
    plot_choices(choices, [tmp_path / "layers.png", tmp_path / "layers.svg"])
    assert image.imread(tmp_path / "layers.png").shape[0] > 300

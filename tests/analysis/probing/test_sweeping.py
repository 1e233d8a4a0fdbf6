"""Jobs that other processes do: cells are waited for, and cells of something else are not taken for them."""

import os
import time
from pathlib import Path

import pytest

from cctuning.analysis.cells.store import CellsError, write_cells
from cctuning.analysis.probing.sweeping import Job, Sweeping, grid_cells
from cctuning.analysis.probing.tasks import Piece, ProbeQuestion
from cctuning.evaluation.asking.questions import Prompt
from cctuning.evaluation.items.benchmark import Metric
from cctuning.evaluation.items.item import Item

METRIC = Metric("accuracy", "paper", lambda text, item: 0.0)


def job(path, text="Mji?", **more):
    asked = ProbeQuestion(
        Item(1, "sw", text, "City?", ("x",)), Prompt(text, [len(text)]), Prompt("City?", [2])
    )
    return Job(Piece(Path(path), "sw", [asked]), Sweeping("ffn", None), METRIC, **more)


def write(path, settings, text="Mji?"):
    write_cells(path, [], fingerprint=job(path, text).fingerprint(settings))


def test_cells_are_done_when_they_are_there(tmp_path):
    path = tmp_path / "a.parquet"
    assert not job(path).is_done({})
    write(path, {})
    assert job(path).is_done({})
    assert job(path).is_done_by_another({}, time.time())


@pytest.mark.parametrize("change", [{"settings": {"model_parts": "b"}}, {"text": "Mito?"}])
def test_other_cells_are_an_error_unless_they_are_to_be_made_again(tmp_path, change):
    path = tmp_path / "a.parquet"
    write(path, change.get("settings", {"model_parts": "a"}), change.get("text", "Mji?"))
    with pytest.raises(CellsError, match="other questions"):
        job(path).is_done({"model_parts": "a"})
    assert not job(path, redo=True).is_done({"model_parts": "a"})


def test_old_cells_of_something_else_are_waited_over_and_new_ones_are_not(tmp_path):
    path = tmp_path / "a.parquet"
    write(path, {"model_parts": "b"})
    begun = time.time()
    os.utime(path, (begun - 60, begun - 60))
    assert not job(path, redo=True).is_done_by_another({"model_parts": "a"}, begun)
    os.utime(path, (begun + 1, begun + 1))
    with pytest.raises(CellsError, match="just written by another process"):
        job(path, redo=True).is_done_by_another({"model_parts": "a"}, begun)


def test_a_grid_is_the_model_as_it_is_and_then_all_pairs_in_order():
    assert grid_cells(2) == ((), ((0, 0),), ((0, 1),), ((1, 0),), ((1, 1),))

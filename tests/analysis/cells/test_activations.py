"""Activations come back by question, in any order; what is missing or damaged is told."""

from pathlib import Path

import numpy as np
import pytest
import torch

from cctuning.analysis.cells.activations import activations_path, read_activations, write_activations
from cctuning.analysis.cells.store import CellsError


def pair(seed):
    torch.manual_seed(seed)
    return torch.randn(3, 4).bfloat16(), torch.randn(3, 4).bfloat16()


def test_they_come_back_by_question(tmp_path):
    cells = [tmp_path / "cells" / "deep" / f"{number}.parquet" for number in (0, 1)]
    write_activations(activations_path(cells[0]), {"7": pair(7), "x.y": pair(1)})
    write_activations(activations_path(cells[1]), {"8": pair(8)})
    found = read_activations([activations_path(path) for path in cells], ["8", "x.y", "7"])
    for place, seed in enumerate((8, 1, 7)):
        source, target = pair(seed)
        assert np.array_equal(found.source[place], source.float().numpy())
        assert np.array_equal(found.target[place], target.float().numpy())


def test_they_lie_apart_from_the_cells():
    cells = Path("cells/mine/cells/pilot/ffn/xnli/sw/0-0.parquet")
    assert activations_path(cells) == Path("cells/mine/activations/pilot/ffn/xnli/sw/0-0.safetensors")


def test_a_layer_that_shares_memory_with_another_is_written_too(tmp_path):
    both = torch.randn(2, 3, 4)
    write_activations(tmp_path / "a.safetensors", {"1": (both[0], both[0])})
    found = read_activations([tmp_path / "a.safetensors"], ["1"])
    assert np.array_equal(found.source, found.target)


def test_a_missing_question_and_a_damaged_file_are_errors(tmp_path):
    path = tmp_path / "a.safetensors"
    write_activations(path, {"1": pair(1)})
    with pytest.raises(CellsError, match="no activations of question 2"):
        read_activations([path], ["1", "2"])
    path.write_bytes(path.read_bytes()[:30])
    with pytest.raises(CellsError, match="made again"):
        read_activations([path], ["1"])

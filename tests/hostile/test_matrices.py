"""Matrices that cannot be exported are refused before anything is written."""

import pytest
import torch

from cctuning import CCTuningModel
from cctuning.export import export_monolingual
from tests.tiny import tiny_llama, tiny_tokenizer

TOKENIZER = tiny_tokenizer()


@pytest.fixture(scope="module")
def model():
    return CCTuningModel.wrap(tiny_llama(len(TOKENIZER)))


def broken(place, value):
    matrix = torch.eye(32, dtype=torch.float64)
    matrix[place] = value
    return matrix


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (torch.eye(64), r"the transform is \(64, 64\), but the model's hidden size asks for \(32, 32\)"),
        (torch.eye(32)[:31], r"the transform is \(31, 32\)"),
        (torch.zeros(0), r"the transform is \(0,\)"),
        (torch.eye(32).expand(2, 32, 32), r"the transform is \(2, 32, 32\).*\(3, 32, 32\)"),
        ((torch.zeros(3, 32, 4), torch.zeros(3, 3, 32)), r"\(3, 32, 4\) by \(3, 3, 32\)"),
        ((torch.eye(32), broken((2, 1), torch.inf)), r"entry \[2, 1\] is inf"),
        (broken((3, 7), torch.nan), r"entry \[3, 7\] is nan, which torch.float32 cannot hold"),
        (broken((31, 0), -torch.inf), r"entry \[31, 0\] is -inf"),
        (broken((1, 2), 1e300), r"entry \[1, 2\] is 1e\+300, which torch.float32 cannot hold"),
        (torch.eye(32, dtype=torch.int64), "holds torch.int64 in place of floating-point numbers"),
        (torch.eye(32, dtype=torch.bool), "holds torch.bool"),
        (torch.eye(32, dtype=torch.complex64), "holds torch.complex64"),
    ],
)
def test_a_matrix_that_cannot_be_exported(model, tmp_path, matrix, message):
    with pytest.raises(ValueError, match=message):
        export_monolingual(model, TOKENIZER, matrix, tmp_path / "out")
    assert not (tmp_path / "out").exists()

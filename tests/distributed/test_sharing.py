"""Work of several processes beside the same work in one."""

import json
from pathlib import Path

import pytest
import torch
from torch import distributed

from cctuning.distributed.sharing import ALONE, Shard, in_turns
from tests.processes import run_together

pytestmark = pytest.mark.slow

PROCESSES = 3


def compute(piece):
    """Tensors of several kinds, whose sizes depend on the piece."""
    generator = torch.Generator().manual_seed(piece)
    rows, columns = 1 + piece % 3, 1 + piece % 2
    numbers = torch.randn(rows, columns, 4, generator=generator)
    return numbers.double(), numbers.bfloat16(), torch.full((columns,), piece)


def work(process, folder):
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=process, world_size=PROCESSES
    )
    shard, results = Shard(process, PROCESSES), {}
    for count in (0, 1, 2, 3, 7):
        own = []
        shared = in_turns(range(count), lambda piece, own=own: own.append(piece) or compute(piece), shard)
        found = [(piece, [tensor.double().tolist() for tensor in tensors]) for piece, tensors in shared]
        results[count] = {"found": found, "computed": own}
    Path(folder, f"{process}.json").write_text(json.dumps(results))
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def of_processes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shares")
    run_together(work, PROCESSES, str(folder))
    return [json.loads((folder / f"{process}.json").read_text()) for process in range(PROCESSES)]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7])
def test_the_first_process_gets_what_one_would_compute_and_the_others_nothing(of_processes, count):
    alone = [
        [piece, [tensor.double().tolist() for tensor in tensors]]
        for piece, tensors in in_turns(range(count), compute, ALONE)
    ]
    assert of_processes[0][str(count)]["found"] == alone
    assert all(own[str(count)]["found"] == [] for own in of_processes[1:])


def test_each_process_computes_its_share(of_processes):
    assert [own["7"]["computed"] for own in of_processes] == [[0, 3, 6], [1, 4, 6], [2, 5, 6]]


def test_alone_a_piece_is_computed_when_it_is_wanted():
    done = []
    stream = in_turns(range(3), lambda piece: done.append(piece) or compute(piece), ALONE)
    assert done == []
    next(stream)
    assert done == [0]

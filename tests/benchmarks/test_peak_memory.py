"""Memory that is taken while a call runs, and no other."""

import os

import pytest
import torch

from benchmarks.peak_memory import extra_memory

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")
MEGABYTES = 1_000_000


def filled(megabytes):
    return torch.ones(megabytes * MEGABYTES // 4)


def test_only_the_call_counts():
    def prepare():
        kept = filled(300)

        def call():
            filled(200)
            filled(100)
            assert kept.shape

        return call

    assert 190 < extra_memory(prepare, CPU) / MEGABYTES < 250


def test_a_process_that_dies():
    with pytest.raises(RuntimeError, match="has died"):
        extra_memory(lambda: lambda: os._exit(1), CPU)

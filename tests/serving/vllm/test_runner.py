"""Which tokens of a step are response starts, and the batch of the second pass."""

from types import SimpleNamespace

import numpy as np
import pytest

from cctuning.serving.vllm.narrow import tails_of
from cctuning.serving.vllm.requests import Connection
from cctuning.serving.vllm.runner import response_starts


def runner_of(*requests):
    """A step of requests with (prompt tokens, tokens computed before, tokens in this step, connection)."""
    names = [f"r{number}" for number in range(len(requests))]
    prompts, computed, scheduled, connections = zip(*requests, strict=True)
    states = {}
    for name, prompt, connection in zip(names, prompts, connections, strict=True):
        extra_args = connection and connection.as_extra_args()
        states[name] = SimpleNamespace(
            prompt_token_ids=list(range(100, 100 + prompt)),
            num_prompt_tokens=prompt,
            sampling_params=SimpleNamespace(extra_args=extra_args),
        )
    # As in vLLM, the arrays are longer than the batch.
    batch = SimpleNamespace(
        num_reqs=len(requests),
        req_ids=names,
        num_computed_tokens_cpu=np.array([*computed, 0, 0]),
        num_prompt_tokens=np.array([*prompts, 9, 9]),
    )
    bounds = np.array([0, *np.cumsum(scheduled), 10**6])
    return SimpleNamespace(input_batch=batch, query_start_loc=SimpleNamespace(np=bounds), requests=states)


def places(*requests):
    return [(start.row, start.token, start.end) for start in response_starts(runner_of(*requests))]


def test_a_whole_prompt():
    assert places((5, 0, 5, None), (3, 0, 3, None)) == [(0, 4, 5), (1, 7, 8)]


@pytest.mark.parametrize(
    ("computed", "scheduled", "found"),
    [(0, 8, []), (8, 11, []), (8, 12, [(0, 11, 12)]), (19, 1, [(0, 0, 1)]), (20, 1, []), (25, 1, [])],
)
def test_chunks_of_a_prompt_and_decoding(computed, scheduled, found):
    assert places((20, computed, scheduled, None)) == found


def test_a_request_that_is_taken_up_again_reads_its_own_response_too():
    assert places((4, 1, 3, None), (20, 16, 10, None)) == [(0, 2, 3), (1, 6, 13)]
    assert places((20, 22, 4, None)) == []  # the response start lies in an earlier chunk


def test_a_request_may_be_off_or_start_elsewhere():
    assert places((5, 0, 5, Connection(-1)), (5, 0, 5, Connection(1))) == [(1, 6, 10)]
    assert places((5, 2, 3, Connection(1))) == []


def test_the_tokens_up_to_the_response_start_are_the_prompt():
    english = Connection(2, serves="a", prompt=(1, 2, 3, 4))
    own, other = response_starts(runner_of((6, 4, 2, None), (3, 0, 3, english)))
    assert own.tokens == (100, 101, 102, 103, 104, 105)
    assert other.tokens == (1, 2, 3, 4)
    (start,) = response_starts(runner_of((6, 0, 6, Connection(1))))
    assert start.tokens == (100, 101)


def test_the_second_pass_takes_shorter_tails_first():
    starts = [
        SimpleNamespace(token=3, end=7),
        SimpleNamespace(token=9, end=10),
        SimpleNamespace(token=11, end=13),
    ]
    tails = tails_of(starts)
    assert tails.order == [1, 2, 0]
    assert tails.tokens == [9, 11, 12, 3, 4, 5, 6]
    assert tails.bounds == [0, 1, 3, 7]

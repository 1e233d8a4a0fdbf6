"""Where a request is connected."""

from types import SimpleNamespace

import pytest

from cctuning.serving.options import RequestError, RequestOptions
from cctuning.serving.vllm.requests import Connection, Translation, resolve

MARKER = [2, 4]


def resolved(tokens, *, scores_prompt=False, english=None, **options):
    return resolve(
        RequestOptions(**options), tokens, marker=MARKER, scores_prompt=scores_prompt, english=english
    )


def test_a_response_starts_after_the_prompt():
    assert resolved([1, 2, 4, 9]) == Connection(3)
    assert resolved([1, 2, 4, 9], english=[5, 6]) == Connection(3, english=(5, 6))
    assert resolved([1, 2, 4, 9], connected=False) == Connection(-1)


def test_in_a_scored_prompt_it_starts_after_the_last_marker():
    assert resolved([2, 4, 9, 2, 4, 9, 9], scores_prompt=True) == Connection(4)
    assert resolved([2, 4], scores_prompt=True) == Connection(1)
    assert resolved([2, 4, 9, 9], scores_prompt=True, prompt_tokens=3) == Connection(2)
    assert resolved([9, 9], scores_prompt=True, connected=False) == Connection(-1)
    with pytest.raises(RequestError, match="response marker"):
        resolved([4, 2, 9], scores_prompt=True)


def test_the_prompt_lies_within_the_tokens():
    assert resolved([1, 2, 3], prompt_tokens=3) == Connection(2)
    with pytest.raises(RequestError, match="prompt_tokens=4"):
        resolved([1, 2, 3], prompt_tokens=4)


@pytest.mark.parametrize(
    "connection",
    [
        Connection(-1),
        Connection(7, english=(3, 4)),
        Connection(2, serves="a", prompt=(1, 2)),
        Connection(7, translation=Translation((3, 4), (5,), 64, {"repetition_penalty": 1.1})),
        Connection(7, english=(3, 4), translated="Why?"),
    ],
)
def test_a_connection_comes_through_to_the_worker(connection):
    params = SimpleNamespace(extra_args={"other": 1} | connection.as_extra_args())
    request = SimpleNamespace(sampling_params=params, num_prompt_tokens=20)
    assert Connection.of(request) == connection


def test_a_request_that_nobody_checked_is_connected_at_its_last_token():
    for params in (None, SimpleNamespace(extra_args=None), SimpleNamespace(extra_args={"a": 1})):
        request = SimpleNamespace(sampling_params=params, num_prompt_tokens=20)
        assert Connection.of(request) == Connection(19)

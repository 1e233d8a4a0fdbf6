"""What a request may ask of the connection."""

from types import SimpleNamespace

import pytest

from cctuning.serving.vllm.requests import Connection, RequestError, RequestOptions, resolve

MARKER = [2, 4]


def resolved(tokens, *, scores_prompt=False, english=None, **options):
    return resolve(
        RequestOptions(**options), tokens, marker=MARKER, scores_prompt=scores_prompt, english=english
    )


@pytest.mark.parametrize(
    ("extra_args", "options"),
    [
        (None, RequestOptions()),
        ({"session_id": "a"}, RequestOptions()),
        ({"cctuning_connected": 0}, RequestOptions(connected=False)),
        ({"cctuning": {"connected": False}}, RequestOptions(connected=False)),
        ({"cctuning_connected": 1, "cctuning_english": "Why?"}, RequestOptions(english="Why?")),
        ({"cctuning": {"english": [7, 8]}}, RequestOptions(english=(7, 8))),
        ({"cctuning_prompt_tokens": 5}, RequestOptions(prompt_tokens=5)),
    ],
)
def test_options_come_nested_or_flat(extra_args, options):
    assert RequestOptions.of(extra_args) == options


@pytest.mark.parametrize(
    ("extra_args", "named"),
    [
        ({"cctuning_conected": 0}, ("cctuning_conected", "connected")),
        ({"cctuning_connected": 2}, ("cctuning_connected", "2")),
        ({"cctuning_connected": "no"}, ("cctuning_connected", "no")),
        ({"cctuning_connected": [0]}, ("cctuning_connected",)),
        ({"cctuning": 3}, ("cctuning", "3")),
        ({"cctuning": {"connected": True}, "cctuning_connected": 1}, ("cctuning_connected", "twice")),
        ({"cctuning_english": ""}, ("cctuning_english",)),
        ({"cctuning_english": 5}, ("cctuning_english", "5")),
        ({"cctuning_english": []}, ("cctuning_english",)),
        ({"cctuning_english": [1.5]}, ("cctuning_english", "1.5")),
        ({"cctuning_english": [-1]}, ("cctuning_english", "-1")),
        ({"cctuning_english": "a" * 500}, ()),
        ({"cctuning_english": "Why?", "cctuning_connected": 0}, ("cctuning_english", "cctuning_connected=0")),
        ({"cctuning_prompt_tokens": 0}, ("cctuning_prompt_tokens", "0")),
        ({"cctuning_prompt_tokens": True}, ("cctuning_prompt_tokens",)),
        ({"cctuning_start": 3}, ("cctuning_start", "cctuning_prompt_tokens")),
    ],
)
def test_what_is_wrong_is_named(extra_args, named):
    if not named:
        RequestOptions.of(extra_args)
        return
    with pytest.raises(RequestError) as error:
        RequestOptions.of(extra_args)
    assert all(word in str(error.value) for word in named)
    assert len(str(error.value)) < 300


def test_long_values_are_cut_in_messages():
    with pytest.raises(RequestError) as error:
        RequestOptions.of({"cctuning_connected": "a" * 500})
    assert len(str(error.value)) < 200


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
    "connection", [Connection(-1), Connection(7, english=(3, 4)), Connection(2, serves="a", prompt=(1, 2))]
)
def test_a_connection_comes_through_to_the_worker(connection):
    params = SimpleNamespace(extra_args={"other": 1} | connection.as_extra_args())
    request = SimpleNamespace(sampling_params=params, num_prompt_tokens=20)
    assert Connection.of(request) == connection


def test_a_request_that_nobody_checked_is_connected_at_its_last_token():
    for params in (None, SimpleNamespace(extra_args=None), SimpleNamespace(extra_args={"a": 1})):
        request = SimpleNamespace(sampling_params=params, num_prompt_tokens=20)
        assert Connection.of(request) == Connection(19)

"""What a request may ask of the connection."""

import pytest

from cctuning.serving.options import RequestError, RequestOptions


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
        ({"cctuning_prompt_language": "sw"}, RequestOptions(prompt_language="sw")),
        (
            {"cctuning": {"prompt_language": "sw", "question": "Why?"}},
            RequestOptions(prompt_language="sw", question="Why?"),
        ),
        ({"cctuning_english": "a" * 500}, RequestOptions(english="a" * 500)),
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
        ({"cctuning_english": "Why?", "cctuning_connected": 0}, ("cctuning_english", "cctuning_connected=0")),
        ({"cctuning_prompt_tokens": 0}, ("cctuning_prompt_tokens", "0")),
        ({"cctuning_prompt_tokens": True}, ("cctuning_prompt_tokens",)),
        ({"cctuning_prompt_language": 5}, ("cctuning_prompt_language", "5")),
        ({"cctuning_prompt_language": "sw", "cctuning_connected": 0}, ("cctuning_connected=0",)),
        ({"cctuning_prompt_language": "sw", "cctuning_english": "Why?"}, ("cctuning_english",)),
        ({"cctuning_question": "Why?"}, ("cctuning_question", "cctuning_prompt_language")),
        ({"cctuning_start": 3}, ("cctuning_start", "cctuning_prompt_tokens")),
    ],
)
def test_what_is_wrong_is_named(extra_args, named):
    with pytest.raises(RequestError) as error:
        RequestOptions.of(extra_args)
    assert all(word in str(error.value) for word in named)
    assert len(str(error.value)) < 300


def test_long_values_are_cut_in_messages():
    with pytest.raises(RequestError) as error:
        RequestOptions.of({"cctuning_connected": "a" * 500})
    assert len(str(error.value)) < 200

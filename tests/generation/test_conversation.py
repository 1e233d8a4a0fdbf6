"""Pieces of a response; whole answers are those of tests/commands/test_serve.py and test_chat.py."""

import pytest
import torch

from cctuning.generation.conversation import _Pieces, encode_conversation
from tests.models import build


class Texts:
    """In place of `PromptFormat`: the text after each number of tokens."""

    def __init__(self, *texts):
        self.texts = texts

    def response_text(self, tokens):
        return self.texts[len(tokens) - 1] if tokens else ""


def pieces(*texts, stop=()):
    """What is shown while tokens come whose text is `texts`, and the streamer at the end."""
    shown = []
    streamer = _Pieces(Texts(*texts), stop, shown.append)
    streamer.put(torch.tensor([[1, 2, 3]]))  # the prompt
    for number in range(len(texts)):
        streamer.put(torch.tensor([number]))
    streamer.end()
    return shown, streamer


@pytest.mark.parametrize(
    ("texts", "shown"),
    [
        (("a", "a b", "a b c"), ["a", " b", " c"]),
        (("a", "a\ufffd", "a\ufffd", "aж"), ["a", "ж"]),  # of a sign that is made of three tokens
        (("a\ufffd",), ["a\ufffd"]),  # which never came to its end
        (("do", "do n't", "don't go"), ["do", " n't"]),  # written in another way once more is known
        ((), []),
    ],
)
def test_pieces_come_when_they_are_sure(texts, shown):
    got, streamer = pieces(*texts)
    assert got == shown and streamer.text == (texts[-1] if texts else "")


def test_what_may_begin_a_stop_text_is_held_back():
    shown, streamer = pieces("a", "a E", "a EN", "a ENx", "a ENx END", stop=("END",))
    assert "".join(shown) == streamer.text == "a ENx" and streamer.stopped
    shown, streamer = pieces("a", "a EN", stop=("END",))
    assert "".join(shown) == streamer.text == "a EN" and not streamer.stopped


@pytest.mark.parametrize("asked", [{"english": ""}, {"english": "Hi"}, {"prompt_language": "sw"}])
def test_a_plain_model_has_no_use_for_english(asked):
    with pytest.raises(ValueError, match="needs a connected model"):
        encode_conversation(build("llama"), None, [], **asked)

"""The demo's tokenizer: one token a word in every script, and the package's prompt format around them."""

from cctuning.data.prompts import PromptFormat
from demo.base import tokenizer_of
from demo.tokenizer import ANSWER, build_tokenizer
from demo.world import make_world

WORLD = make_world(people=12)
TEXTS = [text for row in WORLD.rows() for text in (row["instruction"], row["output"])]
TOKENIZER = tokenizer_of(WORLD)
PROMPTS = PromptFormat(TOKENIZER)


def test_every_text_of_the_world_comes_back_whole():
    for text in TEXTS:
        ids = PROMPTS.response_ids(text)
        assert TOKENIZER.unk_token_id not in ids
        assert PROMPTS.response_text(ids) == text


def test_a_word_is_one_token_and_a_mark_another():
    assert TOKENIZER.tokenize("Какой цвет больше всего?")[-2:] == ["▁всего", "?"]
    assert all(len(PROMPTS.response_ids(row["output"])) == 2 for row in WORLD.pairs)


def test_a_prompt_has_one_start_and_ends_at_the_response_start():
    ids = PROMPTS.prompt_ids(TEXTS[0])
    assert ids.count(TOKENIZER.bos_token_id) == 1
    assert ids[0] == TOKENIZER.bos_token_id
    assert PROMPTS.response_marker == [TOKENIZER.convert_tokens_to_ids(ANSWER)] == ids[-1:]
    assert PROMPTS.stop_token_id == TOKENIZER.eos_token_id


def test_the_order_of_the_texts_does_not_matter():
    assert build_tokenizer(TEXTS).get_vocab() == build_tokenizer(reversed(TEXTS)).get_vocab()

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from cctuning.data.encoding import encode
from cctuning.data.preview import example_panel, rows_table, token_pieces
from cctuning.data.prompts import PromptFormat
from cctuning.data.rows import Problem
from tests.tiny import tiny_rows, tiny_tokenizer

TOKENIZER = tiny_tokenizer()
PROMPTS = PromptFormat(TOKENIZER)
EXAMPLES, _ = encode(tiny_rows(8), PROMPTS, cutoff_len=128, english_cutoff_len=128)
TEXTS = {
    "de": "Wie heißt die Hauptstadt?",
    "ru": "Какая столица Франции?",
    "th": "เมืองหลวงของญี่ปุ่นคือ?",
    "hi": "भारत की राजधानी क्या है?",
    "ar": "ما هي عاصمة مصر؟",
    "ja": "日本の首都はどこですか。",
    "ko": "한국의 수도는?",
    "emoji": "👩‍🚀 🇰🇪",
}


def shown(renderable, **options):
    console = Console(width=200, record=True, **options)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_the_pieces_join_to_the_text_in_every_script(text):
    pieces = token_pieces(TOKENIZER, PROMPTS.response_ids(text))
    assert "".join(pieces) == text + "</s>"
    assert not any("\N{REPLACEMENT CHARACTER}" in piece for piece in pieces)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_the_pieces_keep_the_blanks_of_a_tokenizer_that_writes_them_into_words(text):
    """As SentencePiece does: a token's blank is lost where it is decoded alone."""
    text = f"{text} {text}"
    backend = Tokenizer(models.BPE(byte_fallback=True))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Sequence([decoders.Metaspace(), decoders.ByteFallback(), decoders.Fuse()])
    backend.train_from_iterator([text, "Wie"], trainers.BpeTrainer(vocab_size=300, show_progress=False))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend)
    assert "".join(token_pieces(tokenizer, tokenizer(text)["input_ids"])) == text


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\N{REPLACEMENT CHARACTER}")))
def test_the_pieces_join_to_any_text(text):
    assert "".join(token_pieces(TOKENIZER, PROMPTS.response_ids(text))) == text + "</s>"


def test_line_breaks_are_visible_and_half_a_character_is_shown_as_such():
    assert "".join(token_pieces(TOKENIZER, PROMPTS.response_ids("a\nb"))) == "a⏎\nb</s>"
    half = TOKENIZER("日", add_special_tokens=False)["input_ids"][:2]
    assert "".join(token_pieces(TOKENIZER, half)) == "\N{REPLACEMENT CHARACTER}"


def styled(renderable):
    """Style -> the text that has it, of a panel's own and English example."""
    _, _, own, _, english = renderable.renderable.renderables
    return [
        [(str(span.style), text.plain[span.start : span.end]) for span in text.spans]
        for text in (own, english)
    ]


@pytest.mark.parametrize("example", EXAMPLES[:4], ids=lambda example: example.row.language)
def test_labels_and_the_response_start_are_marked_in_both_languages(example):
    own, english = styled(example_panel(example, TOKENIZER))
    green = [text for style, text in own if "green" in style]
    assert "".join(green) == example.row.output + "</s>"
    assert not any("green" in style for style, _ in english)
    for spans, ids in (
        (own, example.input_ids[: example.prompt_length]),
        (english, example.english_input_ids),
    ):
        starts = [text for style, text in spans if "yellow" in style]
        assert len(starts) == 1
        assert token_pieces(TOKENIZER, ids)[-1].strip() in starts[0]
    assert "".join(text for _, text in own).count("### Response:") == 1


def test_the_response_start_is_seen_without_colours():
    text = shown(example_panel(EXAMPLES[0], TOKENIZER), no_color=True)
    assert text.count("[⏎]") == 2  # once in each language
    assert "tiny.jsonl row 1" in text


def test_brackets_in_a_text_are_no_markup():
    row = dataclasses.replace(tiny_rows(1)[0], output="[bold]x[/bold] [/]")
    [example], _ = encode([row], PROMPTS, cutoff_len=128, english_cutoff_len=128)
    assert "[bold]x[/bold] [/]" in shown(example_panel(example, TOKENIZER))


def test_the_table_counts_rows_lengths_and_cut_responses_per_language():
    long = dataclasses.replace(tiny_rows(1)[0], output="ж" * 100)
    [cut], _ = encode([long], PROMPTS, cutoff_len=60, english_cutoff_len=128)
    text = shown(rows_table([*EXAMPLES, cut], []))
    assert "9 rows" in text and "no row left out" in text
    by_language = {line.split("│")[1].strip(): line for line in text.splitlines() if line.startswith("│")}
    assert sorted(by_language) == ["en", "ru", "sw", "th"]
    for language, line in by_language.items():
        own = [example for example in [*EXAMPLES, cut] if example.row.language == language]
        cells = [cell.strip() for cell in line.split("│")[2:-1]]
        prompts = sorted(example.prompt_length for example in own)
        assert cells[0] == str(len(own))
        assert cells[1].startswith(f"{prompts[(len(prompts) - 1) // 2]}/") and cells[1].endswith(
            f"/{prompts[-1]}"
        )
        assert cells[4] == ("1" if language == "ru" else "0")


def test_the_problems_are_counted_by_field_and_the_first_are_listed():
    problems = [Problem("a.jsonl", number, "output", "is empty") for number in range(1, 8)]
    text = shown(rows_table(EXAMPLES, [*problems, Problem("a.jsonl", 9, "", "is broken JSON")]))
    assert "8 rows left out: 7 in output, 1 in the row itself" in text
    assert "a.jsonl, row 5, output: is empty" in text and "row 6" not in text

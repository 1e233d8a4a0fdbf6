"""The rows of each kind. Every one has a prompt x, its English parallel x_en, and a response.

| kind | x | x_en | response |
| --- | --- | --- | --- |
| english | the English prompt | the same | the model's answer |
| target | the prompt | the English prompt | the answer's translation |
| cross | one of the two, and a request for the other language | the English one, same request | in that one |
| switched_prompt | one of the two, words exchanged | the English prompt | in the language of most words |
| switched_response | one of the two | the English prompt | in the same language, words exchanged |
| partial_translation | an English text, and a translation's start | the text, and its own start | the rest |
| completion | the start of a text | the start of the English text | the rest |
"""

import random
from dataclasses import dataclass

from cctuning.data.rows import Row
from cctuning.preparation.sdrrl.draw import Pick
from cctuning.preparation.sdrrl.switching import ParallelText, Switchable, switch_words
from cctuning.preparation.sdrrl.words import split_pieces, word_places

ANSWERED = ("english", "target", "cross", "switched_prompt", "switched_response")
SWITCHED = ("switched_prompt", "switched_response")
NO_EXCHANGE = "has no word that could be exchanged"

_REQUEST = "{prompt}\n\nAnswer in {language}."
_PARTIAL = "Complete the translation of this text into {language}.\n\n{english}\n\n{start}"
_COMPLETION = "Complete this text.\n\n{start}"
_FEWEST_WORDS = 8  # of a text that is cut in two
_SHORTEST_START, _LONGEST_START = 0.3, 0.7  # of its words


@dataclass(frozen=True, slots=True)
class TranslatedAnswer:
    """The model's English answer to a row's English prompt, and its translation where one was needed."""

    answer: str
    translation: str | None


def needs_translation(pick: Pick) -> bool:
    """Whether a row of this pick holds the answer in the other language."""
    if pick.kind in ("cross", "switched_prompt"):
        return pick.english_first == (pick.kind == "cross")
    return pick.kind in ("target", "switched_response")


def answered_row(pick: Pick, answer: TranslatedAnswer, language: str) -> Row:
    """A row of the kinds english, target and cross. `language`: the English name of the row's language."""
    row = pick.row
    if pick.kind == "english":
        prompt = row.instruction_en
        return _row(pick, prompt, prompt, answer.answer, answer.answer, english=True)
    if pick.kind == "target":
        return _row(pick, row.instruction, row.instruction_en, answer.translation, answer.answer)
    wanted = language if pick.english_first else "English"
    request = _REQUEST.format(prompt=row.instruction_en, language=wanted)
    if pick.english_first:
        return _row(pick, request, request, answer.translation, answer.answer, english=True)
    prompt = _REQUEST.format(prompt=row.instruction, language=wanted)
    return _row(pick, prompt, request, answer.answer, answer.answer)


def switched_row(
    pick: Pick,
    answer: TranslatedAnswer,
    texts: tuple[Switchable, Switchable],
    *,
    share: float,
    rng: random.Random,
) -> Row | None:
    """A row of the kinds switched_prompt and switched_response; None where no word can be exchanged.

    `texts`: the English and the other version of what is switched, the prompt or the answer.
    """
    switched = switch_words(texts[0 if pick.english_first else 1], share=share, rng=rng)
    if switched is None:
        return None
    row = pick.row
    english = pick.english_first
    if pick.kind == "switched_prompt":
        prompt, response = "".join(switched), answer.answer if english else answer.translation
    else:
        prompt, response = row.instruction_en if english else row.instruction, "".join(switched)
    return _row(pick, prompt, row.instruction_en, response, answer.answer, english=english)


def halved_row(pick: Pick, text: ParallelText, language: str, *, rng: random.Random) -> Row:
    """A row of the kinds partial_translation and completion, from a text that `can_be_halved`."""
    share = rng.uniform(_SHORTEST_START, _LONGEST_START)
    start, rest = halves(text.other, share)
    start_en, rest_en = halves(text.english, share)
    template = _COMPLETION if pick.kind == "completion" else _PARTIAL
    prompt, prompt_en = (
        template.format(language=language, english=text.english, start=beginning)
        for beginning in (start, start_en)
    )
    return _row(pick, prompt, prompt_en, rest, rest_en)


def halved_text(row: Row) -> ParallelText | None:
    """The text of a row to cut in two: the response, or else the prompt; None where both are too short."""
    texts = [ParallelText(row.instruction_en, row.instruction)]
    if row.output_en is not None:
        texts.insert(0, ParallelText(row.output_en, row.output))
    return next((text for text in texts if all(map(_is_long, text)) and text.english != text.other), None)


def halves(text: str, share: float) -> tuple[str, str]:
    """The start of a text, about `share` of its words, and the rest.

    A text that has blanks is cut at one, which is all that is lost. The text has two words or more, and each
    part gets one at least.
    """
    pieces = split_pieces(text)
    places = word_places(pieces)
    wanted = places[min(max(round(share * len(places)), 1), len(places) - 1)]
    after_blanks = [
        place
        for place in range(places[0] + 1, places[-1] + 1)
        if pieces[place - 1].isspace() and not pieces[place].isspace()
    ]
    place = min(after_blanks or [wanted], key=lambda place: abs(place - wanted))
    return "".join(pieces[:place]).rstrip(), "".join(pieces[place:])


def _is_long(text: str) -> bool:
    return len(word_places(split_pieces(text))) >= _FEWEST_WORDS


def _row(
    pick: Pick, prompt: str, prompt_en: str, response: str | None, response_en: str, *, english: bool = False
) -> Row:
    """A row in the pick's language, or with `english` in English: other picks may have the same English item,
    so its id names their language too.
    """
    assert response is not None, "a pick that needs a translation came without one"
    identity = f"{pick.row.id}:{pick.kind}"
    if english and pick.kind != "english":
        identity += f":{pick.row.language}"
    return Row(
        id=identity,
        instruction=prompt,
        instruction_en=prompt_en,
        output=response,
        language="en" if english else pick.row.language,
        output_en=response_en,
        file=pick.row.file,
        number=pick.row.number,
    )

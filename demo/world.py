"""The demo's world: who likes and bought what, in which language it is asked, and which pairs are held out.

A fact is a person, a relation and an answer; a pair is a fact asked in one of the six languages. The base
model learns all facts in English, the words of all languages, and how to put any question into English.
Fine-tuning shows it some of the pairs; the others are the test.
"""

import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cctuning.translation.prompt import translation_prompt
from demo.words import ANSWERS, CONSONANTS, ENGLISH, LANGUAGES, QUESTIONS, VOWELS, spell

DATA = Path(__file__).resolve().parent / "data"
SEED = 0
PEOPLE = 80
TRAINED_SHARE = 0.5  # of the pairs
REHEARSED_SHARE = 0.5  # of the trained pairs' questions, to be put into English in fine-tuning too
BUNDLED = ("pairs", "held_out", "mixture")  # in the data folder; the rest is for the base model alone
# The held-out pairs, and all facts in English, as evaluations and studies read questions of that kind.
BENCHMARK = DATA / "benchmarks" / "MKQA"

Row = dict[str, str]


@dataclass(frozen=True)
class World:
    """All texts of the demo, as training rows.

    Attributes:
        pairs: pairs of the fine-tuning; `held_out`: the other pairs.
        mixture: what else the fine-tuning shows, so that it is not forgotten: the facts in English, and
            questions of a part of `pairs` put into English.
        facts, vocabulary, questions: what the base model learns: the facts in English, the answers from and
            into English, the names into English, and all questions, those held out too, put into English.
    """

    pairs: list[Row]
    held_out: list[Row]
    mixture: list[Row]
    facts: list[Row]
    vocabulary: list[Row]
    questions: list[Row]

    def rows(self) -> list[Row]:
        """All rows; those of `mixture` occur twice."""
        return [row for rows in vars(self).values() for row in rows]


def make_world(seed: int = SEED, people: int = PEOPLE) -> World:
    """Draws a world; the same arguments give the same one."""
    rng = random.Random(seed)
    names = _names(rng, people)
    pairs = [row for number, name in enumerate(names) for row in _pairs(rng, number, name)]
    trained = _choose(rng, pairs, TRAINED_SHARE)
    facts = [_english(row) for row in pairs if row["language"] == next(iter(LANGUAGES))]
    questions = [_question_into_english(row) for row in pairs]
    seen = [row for row, chosen in zip(questions, trained, strict=True) if chosen]
    return World(
        pairs=[row for row, chosen in zip(pairs, trained, strict=True) if chosen],
        held_out=[row for row, chosen in zip(pairs, trained, strict=True) if not chosen],
        mixture=facts + rng.sample(seen, round(REHEARSED_SHARE * len(seen))),
        facts=facts,
        vocabulary=_vocabulary(names),
        questions=questions,
    )


def benchmark_items(rows: Iterable[Row], language: str) -> list[dict[str, object]]:
    """The questions of `rows` in one language, as local files of a benchmark hold them."""
    return [
        {
            "id": row["id"],
            "language": language,
            "prompt": row["instruction"],
            "prompt_en": row["instruction_en"],
            "answer": [row["output"]],
        }
        for row in rows
        if row["language"] == language
    ]


def write_rows(rows: Iterable[Mapping[str, object]], path: Path) -> None:
    """Rows as JSON lines."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def read_rows(path: Path) -> list[Row]:
    """What `write_rows` wrote."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _names(rng: random.Random, people: int) -> list[dict[str, str]]:
    """Per person: language -> her name. No two people share a spelling in any language."""
    names: list[dict[str, str]] = []
    taken: set[str] = set()
    while len(names) < people:
        syllables = [
            rng.choice(CONSONANTS) + vowel for vowel in [rng.choice(VOWELS), rng.choice(VOWELS), "a"]
        ]
        name = {language: spell(syllables, language) for language in [ENGLISH, *LANGUAGES]}
        if taken.isdisjoint(name.values()):
            taken |= set(name.values())
            names.append(name)
    return names


def _pairs(rng: random.Random, number: int, name: dict[str, str]) -> list[Row]:
    """All pairs about one person."""
    rows = []
    for relation, question in QUESTIONS.items():
        answer = rng.randrange(len(ANSWERS[relation][ENGLISH]))
        rows += [
            {
                "id": f"{relation}-{number:02d}",
                "language": language,
                "instruction": question[language].format(name=name[language]),
                "instruction_en": question[ENGLISH].format(name=name[ENGLISH]),
                "output": ANSWERS[relation][language][answer],
                "output_en": ANSWERS[relation][ENGLISH][answer],
            }
            for language in LANGUAGES
        ]
    return rows


def _choose(rng: random.Random, pairs: Sequence[Row], share: float) -> list[bool]:
    """Which pairs are for training: the same share of every language."""
    chosen = [False] * len(pairs)
    for language in LANGUAGES:
        places = [place for place, row in enumerate(pairs) if row["language"] == language]
        for place in rng.sample(places, round(share * len(places))):
            chosen[place] = True
    return chosen


def _english(row: Row) -> Row:
    """A pair's fact in English: its English parallel is itself."""
    english = {"language": ENGLISH, "instruction": row["instruction_en"], "output": row["output_en"]}
    return {**row, **english}


def _question_into_english(row: Row) -> Row:
    """The task to put a pair's question into English. It is worded in English, so it is its own parallel."""
    name = f"{row['id']}-{row['language']}"
    return _translation(name, row["instruction"], row["instruction_en"], source=row["language"])


def _vocabulary(names: Sequence[dict[str, str]]) -> list[Row]:
    """Translations of every answer from and into English, and of every name into English."""
    answers = [
        {language: words[number] for language, words in answers.items()}
        for answers in ANSWERS.values()
        for number in range(len(answers[ENGLISH]))
    ]
    rows = [
        _translation(f"{word[ENGLISH]}-to-{code}", word[ENGLISH], word[code], target=code)
        for word in answers
        for code in LANGUAGES
    ]
    rows += [
        _translation(f"{word[ENGLISH]}-from-{code}", word[code], word[ENGLISH], source=code)
        for word in [*answers, *names]
        for code in LANGUAGES
    ]
    return rows


def _translation(
    name: str, text: str, translation: str, *, source: str = ENGLISH, target: str = ENGLISH
) -> Row:
    prompt = translation_prompt(text, source=source, target=target)
    return {
        "id": f"translate-{name}",
        "language": ENGLISH,
        "instruction": prompt,
        "instruction_en": prompt,
        "output": translation,
        "output_en": translation,
    }


if __name__ == "__main__":
    DATA.mkdir(exist_ok=True)
    made = make_world()
    for part in BUNDLED:
        write_rows(getattr(made, part), DATA / f"{part}.jsonl")
    BENCHMARK.mkdir(parents=True, exist_ok=True)
    for code in LANGUAGES:
        write_rows(benchmark_items(made.held_out, code), BENCHMARK / f"{code}.jsonl")
    write_rows(benchmark_items(made.facts, ENGLISH), BENCHMARK / f"{ENGLISH}.jsonl")

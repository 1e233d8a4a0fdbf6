"""What is found in translations that are wrong, and not in those that are right."""

import json
import os
import random
from pathlib import Path

import pytest

from cctuning.data.formats import json_records
from cctuning.translation import faults

RIGHT = [
    ("sw", "Mji mkuu wa Kenya ni upi?", "What is the capital of Kenya?"),
    (
        "zh",
        "地球上最高的山是什么？请用一句话回答。",
        "What is the highest mountain on earth? Answer in one sentence.",
    ),
    ("ja", "日本の首都はどこですか。", "Where is the capital of Japan?"),
    ("th", "เมืองหลวงของญี่ปุ่นคืออะไร", "What is the capital of Japan?"),
    ("sw", "Barack Obama, Nairobi 2015", "Barack Obama, Nairobi 2015"),
    ("sw", "internet", "internet"),
    ("sw", "12 + 3 = 15", "12 + 3 = 15"),
    ("sw", "print(x_1) => foo.bar", "print(x_1) => foo.bar"),
    ("sw", "Tumia 12_a", "Use 12_a"),
    ("sw", "Hapana, hapana, hapana, hapana, hapana, hapana!", "Certainly not, " * 6 + "certainly not!"),
    ("de", "Nein.", "No."),
]


@pytest.mark.parametrize(("source", "text", "translation"), RIGHT)
def test_a_right_translation_has_no_fault(source, text, translation):
    assert faults(text, translation, source=source, target="en") == []


LOOP = "The children play in the yard. " + "and they are happy, " * 8


@pytest.mark.parametrize(
    ("source", "text", "translation", "fault"),
    [
        ("sw", "Mji mkuu wa Kenya ni upi?", "", "is empty"),
        ("sw", "Mji mkuu wa Kenya ni upi?", " \n\u200b", "is empty"),
        ("sw", "Mji mkuu wa Kenya ni upi?", "mji mkuu wa  Kenya ni upi?", "is copied"),
        ("zh", "你好", "你好", "is copied"),
        ("ru", "Москва", "Москва", "is copied"),
        ("sw", "Watoto wanacheza kwenye uwanja na wanafurahi sana kila siku ya wiki.", LOOP, "repeats"),
        ("sw", "Watoto wanacheza kwenye uwanja kila siku.", "la" * 40, "repeats 'la'"),
        (
            "sw",
            "Habari?",
            "How are you? " + "".join(f"word{n} " for n in range(30)),
            "times as long as expected",
        ),
        ("sw", "Mji mkuu wa Kenya ni upi? " * 8, "Which?", "times as long as expected"),
        ("zh", "地球上最高的山是什么？" * 6, "What is it?", "times as long as expected"),
        (
            "sw",
            "Watoto wanacheza mpira uwanjani kila siku ya wiki.",
            "Die Kinder spielen jeden Tag der Woche auf dem Platz Fußball.",
            "is in de",
        ),
    ],
)
def test_a_fault_is_named(source, text, translation, fault):
    found = faults(text, translation, source=source, target="en")
    assert any(fault in one for one in found)


def test_the_expected_length_is_that_of_the_scripts():
    english = (
        "What is the highest mountain on earth, and who climbed it first? Yesterday we went to the market, "
        "bought apples and bread, and cooked at home. "
    ) * 2
    chinese = "地球上最高的山是什么，谁最先登上了它？昨天我们去了市场，买了苹果和面包，然后回家做饭。" * 2
    assert not faults(chinese, english, source="zh", target="en")
    assert not faults(english, chinese, source="en", target="zh")
    assert faults(english, chinese, source="en", target="sw")


def test_a_language_that_cannot_be_identified_is_not_looked_at():
    text = "Children play football in the yard every day of the week."
    wrong = "Watoto wanacheza mpira uwanjani kila siku ya wiki."
    assert faults(text, wrong, source="en", target="xh") == []
    assert faults(text, wrong, source="en", target="de") == ["is in sw"]


BENCHMARKS = os.environ.get("CCTUNING_BENCHMARKS")


@pytest.mark.skipif(BENCHMARKS is None, reason="CCTUNING_BENCHMARKS names no folder")
def test_hardly_any_prompt_of_the_benchmarks_is_called_a_faulty_translation():
    found, seen = [], 0
    for path in sorted(Path(str(BENCHMARKS)).glob("*/*.jsonl*")):
        language = path.name.partition(".")[0]
        if language == "en":
            continue
        rows = [record.values for record in json_records(path)]
        for row in random.Random(0).sample(rows, min(20, len(rows))):
            seen += 1
            pair = (row["prompt"], row["prompt_en"])
            there = faults(*pair, source=language, target="en")
            back = faults(*pair[::-1], source="en", target=language)
            if there or back:
                found.append((path.parent.name, language, there, back))
    assert seen > 500
    assert len(found) <= seen / 100, json.dumps(found, ensure_ascii=False)

"""Items and responses of every kind to them: our own, and of real files in a folder that is named.

The environment variable CCTUNING_BENCHMARKS names that folder: TITLE/LANGUAGE.jsonl or .jsonl.gz.
"""

import os
import random

from cctuning.evaluation.benchmarks import find_benchmark
from cctuning.evaluation.items.files import available_languages, read_items
from cctuning.evaluation.items.item import Item

REAL = os.environ.get("CCTUNING_BENCHMARKS")
CHOICES = ("XNLI", "XStoryCloze", "MMMLU", "XCOPA", "GlobalOpinionQA")
SHORT_ANSWERS = ("MKQA", "XQuAD")

NLI = {
    "en": ("Entail", "Neutral", "Contradict"),
    "zh": ("蕴涵", "中立", "矛盾"),
    "sw": ("Inajumuisha", "Kuegemea upande wowote", "Kupingana"),
    "ar": ("يستلزم", "محايد", "يتناقض"),
    "hi": ("निहित", "तटस्थ", "विरोधाभास"),
    "th": ("บ่งบอก", "เป็นกลาง", "ขัดแย้ง"),
    # Texts within one another, with blanks at their ends, and none at all.
    "nested": ("is so", "is so not", "so"),
    "blank": ("yes ", " no", "yes"),
    "empty": ("yes", "", "no"),
}


def choice(gold, texts, language="en", labels="123"):
    return Item(0, language, "question", "question", (gold,), dict(zip(labels, texts, strict=False)))


def short(*answers, language="en"):
    return Item(0, language, "question", "question", answers)


def own_choices():
    for language, texts in NLI.items():
        for gold in "123":
            yield choice(gold, texts, language)
    for gold in "ABCD":
        yield choice(gold, ("0", "4", "2", "42"), "hi", "ABCD")


def real_items(title, limit):
    """Items of each language's file, at most `limit` of each, drawn with a seed."""
    benchmark = find_benchmark(title)
    for language in available_languages(REAL, benchmark):
        items = read_items(REAL, benchmark, language)
        yield from random.Random(666).sample(items, min(limit, len(items)))


def full_width(text):
    return text.replace("(", "（").replace(")", "）")


def option_responses(item):
    """Responses that name the gold option, others, several, none; in every bracket, case and script."""
    gold, labels = item.answers[0], list(item.options)
    text = item.options[gold]
    other = labels[(labels.index(gold) + 1) % len(labels)]
    last = labels[(labels.index(gold) - 1) % len(labels)]
    yield from ("", " ", "\n", "()", "(", "...", "(9)", "(Z)", "7", "ß", "（", "İ")
    for label in (gold, other, last):
        yield from (
            label,
            f" {label}\n",
            f"({label})",
            f"（{label}）",
            f"（{label})",
            f"({label}",
            f"{label})",
        )
        yield from (
            f"({label.lower()})",
            label.lower(),
            f"[{label}]",
            f"【{label}】",
            f"( {label} )",
            f"{label}.",
        )
        yield from (f"({label}) {item.options[label]}", f"{label} {item.options[label]}", f"(({label}))")
        yield from (
            f"答案是（{label}）。",
            f"The answer is ({label}), متأكد.",
            f"الجواب: {label}",
            f"उत्तर ({label}) है",
        )
        yield chr(0xFEE0 + ord(label))  # full width
        yield f"({chr(0xFEE0 + ord(label))})"
    for one in (text, item.options[other], item.options[last]):
        yield from (one, one.upper(), one.lower(), one[:-1], f"pre{one}post", f" {one} ", f"「{one}」")
    yield from (f"({gold}) ({other})", f"({gold}) or {other}", f"({gold}), not {item.options[other]}")
    yield from (f"{text} / {item.options[other]}", f"{text} ({gold})", f"{text} ({other})", f"({gold}) (E)")
    yield from (full_width(f"({gold}) ({last})"), "".join(f"({label})" for label in labels))
    yield from (
        f"({gold}) ({gold})",
        f"{gold}{gold}",
        f"{gold}\n{other}",
        f"({gold}) and (x)",
        f"(x) ({gold})",
    )
    yield "Entail 中立 يتناقض"


def answer_responses(item):
    """Responses that hold a gold answer, parts of it, others; in other cases, words and scripts."""
    yield from ("", " ", "no", "Die Antwort fehlt.", "不知道", "3", "3.0", "٣")
    for answer in item.answers:
        yield from (answer, answer.upper(), answer.lower(), answer.title(), f"pre{answer}post", f" {answer}.")
        yield from (answer[:-1], answer[1:], answer[::-1], answer.replace(" ", ""), answer.replace(" ", "  "))
        yield from (f"The answer is {answer}, 我想。", f"答案是{answer}", f"الجواب {answer}", f"({answer})")
        yield from (f"{answer}\n{answer}", answer.strip(), answer.casefold(), "\ufeff".join(answer))

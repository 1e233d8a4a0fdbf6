"""The same sentences in every language of the benchmarks: strict scores of languages can be compared."""

from dataclasses import replace

import pytest

from cctuning.evaluation.benchmarks import BENCHMARKS
from cctuning.evaluation.scoring.labels import LOCAL_LETTERS
from cctuning.evaluation.scoring.options import named_options
from cctuning.evaluation.scoring.strict import exact_option
from tests.evaluation.scoring.made_responses import choice

# "The correct answer is B.", "The correct answer is A or B.", "B is the correct answer."
SENTENCES = {
    "am": ("ትክክለኛው መልስ {} ነው።", "ትክክለኛው መልስ {} ወይም {} ነው።", "{} ትክክለኛው መልስ ነው።"),
    "ar": ("الإجابة الصحيحة هي {}.", "الإجابة الصحيحة هي {} أو {}.", "{} هي الإجابة الصحيحة."),
    "bn": ("সঠিক উত্তর হল {}।", "সঠিক উত্তর হল {} অথবা {}।", "{} হল সঠিক উত্তর।"),
    "de": (
        "Die richtige Antwort ist {}.",
        "Die richtige Antwort ist {} oder {}.",
        "{} ist die richtige Antwort.",
    ),
    "el": (
        "Η σωστή απάντηση είναι το {}.",
        "Η σωστή απάντηση είναι το {} ή το {}.",
        "{} είναι η σωστή απάντηση.",
    ),
    "en": ("The correct answer is {}.", "The correct answer is {} or {}.", "{} is the correct answer."),
    "es": (
        "La respuesta correcta es la {}.",
        "La respuesta correcta es {} o {}.",
        "{} es la respuesta correcta.",
    ),
    "et": ("Õige vastus on {}.", "Õige vastus on {} või {}.", "{} on õige vastus."),
    "eu": ("Erantzun zuzena {} da.", "Erantzun zuzena {} edo {} da.", "{} da erantzun zuzena."),
    "fr": ("La bonne réponse est {}.", "La bonne réponse est {} ou {}.", "{} est la bonne réponse."),
    "hi": ("सही उत्तर {} है।", "सही उत्तर {} या {} है।", "{} सही उत्तर है।"),
    "ht": ("Bon repons lan se {}.", "Bon repons lan se {} oswa {}.", "{} se bon repons lan."),
    "id": (
        "Jawaban yang benar adalah {}.",
        "Jawaban yang benar adalah {} atau {}.",
        "{} adalah jawaban yang benar.",
    ),
    "it": ("La risposta corretta è la {}.", "La risposta corretta è {} o {}.", "{} è la risposta corretta."),
    "ja": ("正解は{}です。", "正解は{}または{}です。", "{}が正解です。"),
    "ko": ("정답은 {}입니다.", "정답은 {} 또는 {}입니다.", "{}가 정답입니다."),
    "nl": ("Het juiste antwoord is {}.", "Het juiste antwoord is {} of {}.", "{} is het juiste antwoord."),
    "pt": ("A resposta correta é {}.", "A resposta correta é {} ou {}.", "{} é a resposta correta."),
    "ru": ("Правильный ответ — {}.", "Правильный ответ — {} или {}.", "{} — правильный ответ."),
    "sv": ("Det rätta svaret är {}.", "Det rätta svaret är {} eller {}.", "{} är det rätta svaret."),
    "sw": ("Jibu sahihi ni {}.", "Jibu sahihi ni {} au {}.", "{} ni jibu sahihi."),
    "ta": ("சரியான பதில் {} ஆகும்.", "சரியான பதில் {} அல்லது {} ஆகும்.", "{} என்பது சரியான பதில்."),
    "te": ("సరైన సమాధానం {} అవుతుంది.", "సరైన సమాధానం {} లేదా {} అవుతుంది.", "{} సరైన సమాధానం."),
    "th": ("คำตอบที่ถูกต้องคือ {}", "คำตอบที่ถูกต้องคือ {} หรือ {}", "{} คือคำตอบที่ถูกต้อง"),
    "tl": ("Ang tamang sagot ay {}.", "Ang tamang sagot ay {} o {}.", "{} ang tamang sagot."),
    "tr": ("Doğru cevap {}’dir.", "Doğru cevap {} veya {}’dir.", "{} doğru cevaptır."),
    "uk": ("Правильна відповідь — {}.", "Правильна відповідь — {} або {}.", "{} — правильна відповідь."),
    "ur": ("صحیح جواب {} ہے۔", "صحیح جواب {} یا {} ہے۔", "{} صحیح جواب ہے۔"),
    "vi": ("Đáp án đúng là {}.", "Đáp án đúng là {} hoặc {}.", "{} là đáp án đúng."),
    "yo": ("Ìdáhùn tó tọ́ ni {}.", "Ìdáhùn tó tọ́ ni {} tàbí {}.", "{} ni ìdáhùn tó tọ́."),
    "zh": ("正确答案是{}。", "正确答案是{}或{}。", "{}是正确答案。"),
}
LETTERS = ("alpha", "beta", "gamma", "delta")


def test_every_language_of_the_benchmarks_is_here():
    languages = {language for benchmark in BENCHMARKS.values() for language in benchmark.languages}
    assert {language.partition("-")[0] for language in languages} == set(SENTENCES)


@pytest.mark.parametrize("labels", ["ABCD", "1234"])
@pytest.mark.parametrize("language", SENTENCES)
def test_a_sentence_names_its_label(language, labels):
    plain, hedged, turned = SENTENCES[language]
    item = choice(labels[1], LETTERS, language, labels=labels)
    for right, wrong, other, _ in [labels, labels[1:] + labels[:1], labels[::-1]]:
        item = choice(right, LETTERS, language, labels=labels)
        for sentence in (plain, turned):
            for text in (
                sentence,
                f"**{sentence}**",
                f"{sentence} {dict(zip(labels, LETTERS, strict=True))[wrong]} no.",
                f"{sentence}\n\n(alpha, beta, gamma)",
            ):
                assert named_options(text.format(right), item) == [right], text
                assert exact_option(text.format(wrong), item) == 0, text
        assert set(named_options(hedged.format(right, other), item)) == {right, other}
        assert exact_option(hedged.format(other, right), item) == 0


@pytest.mark.parametrize("language", sorted(set(LOCAL_LETTERS) & set(SENTENCES)))
def test_a_sentence_names_the_letter_of_its_language(language):
    plain, hedged, turned = SENTENCES[language]
    first, second, *_ = LOCAL_LETTERS[language].split()
    item = choice("B", LETTERS, language, labels="ABCD")
    assert named_options(plain.format(second), item) == ["B"]
    assert named_options(hedged.format(first, second), item) == ["A", "B"]
    if language not in ("ko", "th"):  # there a letter and what follows it are another word
        assert named_options(turned.format(second), item) == ["B"]


@pytest.mark.parametrize("language", SENTENCES)
@pytest.mark.parametrize(
    "text",
    [
        "{}\n\nExplanation: alpha is not red.",
        "{}\nalpha and gamma are wrong, and (A) is so too.",
        "{}.\n\nalpha",
        "{} because alpha is not red",
        "**{}**\n\nalpha",
        "({})\nalpha",
        "{}) beta, and not alpha",
        "{} – beta",
        "\n\n{}\r\n\r\nalpha",
    ],
)
def test_a_response_that_opens_with_a_label_is_not_searched_for_texts(language, text):
    item = choice("B", LETTERS, language, labels="ABCD")
    for label in "ABC":
        assert named_options(text.format(label), item) == [label]


@pytest.mark.parametrize(
    ("language", "text", "named"),
    [
        ("en", "A\n\nActually, the answer is B.", "AB"),
        ("en", "(A) alpha\n(B) beta\n(C) gamma", "ABC"),
        ("en", "A. alpha\nB. beta", "AB"),
        ("en", "The answer could be A, but it might also be B.", "AB"),
        ("en", "B. (A) is wrong", "BA"),
        ("en", "Option A is wrong, so the answer is B.", "B"),
        ("en", "Option A is wrong. The answer is B because it is red.", "AB"),
        ("en", "Option (A) is wrong. The answer is B.", "AB"),
        ("en", "Let me think. (B), not D. 😊", "B"),
        ("de", "Große Straße. (b), nicht D **", "B"),
        ("en", "A and B are both right", "AB"),
        ("en", "A is correct.", "A"),
        ("en", "A dog has four legs", ""),
        ("de", "A dog has four legs", ""),
        ("de", "A trifft zu.", "A"),
        ("es", "A porque es rojo", "A"),
        ("ja", "A という", "A"),
        ("pt", "A resposta correta.", ""),
        ("en", "The answer: B because gamma is wrong", "B"),
        ("ko", "혈액형이 B형인 사람", ""),  # a blood type
        ("ko", "다 맞습니다", ""),
        ("ko", "나는 모릅니다", ""),
        ("ko", "정답: B번", "B"),
        ("ko", "정답은 나입니다.", "B"),
        ("ja", "答えはBだと思います", "B"),
        ("zh", "我选B，因为alpha不对", "B"),
        ("tr", "Doğru seçenek B şıkkıdır.", "B"),
        ("hi", "बीमार", ""),
        ("ar", "كتاب", ""),
        ("th", "ของ", ""),
    ],
)
def test_what_else_is_read(language, text, named):
    assert named_options(text, choice("B", LETTERS, language, labels="ABCD")) == list(named)


def test_options_that_a_prompt_lists_are_labels_still():
    texts = ("alpha", "vitamin A", "gamma", "delta")
    listed = "\n".join(f"{label}. {text}" for label, text in zip("ABCD", texts, strict=True))
    item = replace(choice("B", texts, labels="ABCD"), prompt=f"Which one?\n{listed}")
    assert named_options("A. alpha\nB. vitamin A", item) == ["A", "B"]
    assert named_options("vitamin A", item) == ["B"]
    assert named_options("perhaps A", replace(item, prompt=f"Perhaps a dog?\n{listed}")) == ["A"]


def test_a_number_before_a_word_is_no_label():
    texts = ("entails", "is neutral", "contradicts")
    assert named_options("2 people play, so it is neutral", choice("2", texts)) == ["2"]
    assert named_options("There are 1 or more, which contradicts", choice("2", texts)) == ["3"]
    assert named_options("The answer is 2 because nothing contradicts it", choice("2", texts)) == ["2"]

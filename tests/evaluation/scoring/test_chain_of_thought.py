import pytest

from cctuning.evaluation.scoring.chain_of_thought import judged_text
from tests.evaluation.scoring.made_responses import choice, short

NLI = choice("2", ("Entail", "Neutral", "Contradict"))


@pytest.mark.parametrize(
    ("response", "judged"),
    [
        ("(1) would need a dog. (3) a cat. So it is (2).", "(2)"),
        ("Not （2） but （3）。", "(3)"),
        ("1. The dog barks.\n2. The cat sleeps.\nSo they Contradict.", "(3)"),
        ("1. The dog barks. So the answer is 2.", "(2)"),
        ("Option 1 is wrong. The answer is 2 because nothing contradicts it.", "(2)"),
        ("(1) is wrong, as the dog barks. So the answer is 2.", "(2)"),
        ("First Neutral, but then Entail", "(1)"),
        ("(3)? No, as (2) says, (3)", "(3)"),
        ("1. The dog barks and", "the last tokens"),
        ("", "the last tokens"),
    ],
)
def test_the_last_option_named_or_the_last_tokens(response, judged):
    assert judged_text(NLI, response, "the last tokens") == judged


def test_short_answers_are_judged_by_the_last_tokens():
    assert judged_text(short("Nairobi"), "(1) Nairobi it is", "it is") == "it is"

"""A lens of made-up tokens in many scripts, some of which would break a page."""

from cctuning.analysis.lens import Lens
from cctuning.analysis.lens.logit_lens import Guess, LensPanel

WORDS = ("โตเกียว", "人工智能", "ሰላም", "␣नमस्ते", "سلام", "<script>", r"\xe0\xb8", "$x$", "␣international")


def reading(places, layers, shift):
    words = [WORDS[(shift + number) % len(WORDS)] for number in range(places * layers)]
    guesses = tuple(
        tuple(
            (Guess(7, words[layer * places + place], (1 + layer) / (1 + layers)), Guess(8, "b & c", 0.1))
            for place in range(places)
        )
        for layer in range(layers)
    )
    return LensPanel(tuple(words[:places]), tuple(words[-places:]), "東京 <b>", guesses)


LENS = Lens(((3, 1),), "ffn", "Tokyo <i>?", "โตเกียว?", reading(3, 4, 0), reading(2, 4, 5))

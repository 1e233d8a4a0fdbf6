"""Likelihood: the cell whose answer is the most probable one.

The answer's log-probability is that of its tokens and the end token. Long answers are less probable than
short ones, hence also the mean per token. Under the model that wrote it, a transplant that makes the model
sure of itself wins; under the model as it is, the answer that the transplants found and the model itself
likes best, which will often be its own.
"""

import numpy as np

from cctuning.analysis.selectors.answers import Array, UnlabelledAnswers
from cctuning.analysis.selectors.selector import best, untrained


def option_shares(unlabelled: UnlabelledAnswers) -> Array:
    """(Q, C, options) probabilities of the options among each other; 0 beyond a question's own."""
    scores = _options(unlabelled)
    shares = np.exp(scores - scores.max(axis=2, keepdims=True))
    return shares / shares.sum(axis=2, keepdims=True)


def _options(unlabelled: UnlabelledAnswers) -> Array:
    """Log-probabilities of the options, -inf beyond a question's own."""
    if unlabelled.option_log_probabilities is None:
        raise ValueError(f"{unlabelled.language}: the options were not scored")
    return np.nan_to_num(unlabelled.option_log_probabilities, nan=-np.inf)


def _margin(unlabelled: UnlabelledAnswers) -> Array:
    second, first = np.moveaxis(np.sort(_options(unlabelled), axis=2)[..., -2:], 2, 0)
    return first - second


LIKELIHOOD = {
    "likelihood": untrained(
        "the answer of the highest probability, with the transplant",
        lambda unlabelled: best(unlabelled.log_probability),
    ),
    "likelihood_per_token": untrained(
        "the same per token", lambda unlabelled: best(unlabelled.log_probability / unlabelled.new_tokens)
    ),
    "plain_likelihood": untrained(
        "the answer of the highest probability under the model as it is",
        lambda unlabelled: best(unlabelled.plain_log_probability, unlabelled.log_probability),
        needs="plain",
    ),
    "plain_likelihood_per_token": untrained(
        "the same per token",
        lambda unlabelled: best(
            unlabelled.plain_log_probability / unlabelled.new_tokens, unlabelled.log_probability
        ),
        needs="plain",
    ),
    "option_likelihood": untrained(
        "the pair that makes one of the options most probable",
        lambda unlabelled: best(_options(unlabelled).max(axis=2)),
        needs="options",
    ),
    "option_margin": untrained(
        "the pair that tells the first option best from the second",
        lambda unlabelled: best(_margin(unlabelled)),
        needs="options",
    ),
}

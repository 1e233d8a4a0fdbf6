"""The Transform Matrix of a training that is under way, for the rows whose vector is their prompt's own."""

import random
import warnings
from collections.abc import Sequence
from typing import Any

import torch
from accelerate.utils import broadcast

from cctuning.connection.connected import connection_of
from cctuning.data.encoding import Example
from cctuning.training.recorded_pairs import record_pairs
from cctuning.transform.least_squares import LeastSquares
from cctuning.transform.pairs import english_numbers, pairs_of

PAIRS = 256  # of the sample that each fit is made on


def fit_own_transform(model: Any, examples: Sequence[Example], *, seed: int, **passes: Any) -> None:
    """Fits W_T (eq. 7) to a sample of `examples` and the weights of now, and sets it in the model.

    The sample is drawn by `seed` from the rows that are not English; the ridge is chosen by cross-validation.
    `model` and `passes` are as `record_pairs` takes them; all processes get what one would fit. Raises
    `ValueError` for too few rows, and outputs that are not finite.
    """
    connected = connection_of(model)
    pairs = pairs_of(examples)
    pairs = pairs if len(pairs) <= PAIRS else random.Random(seed).sample(pairs, PAIRS)
    numbers = torch.tensor(english_numbers(pairs))
    folds = min(5, len(set(numbers.tolist())))
    if folds < 2:
        raise ValueError(
            "connection.monolingual_share needs rows in other languages than English, with two different "
            "English prompts at least"
        )
    prompts = [(pair.prompt_ids, pair.english_ids) for pair in pairs]
    results = record_pairs(model, prompts, **passes)
    weight = connected.own_transform.weight
    if results:
        fit = LeastSquares(weight.shape[0], folds=folds)
        for places, *outputs in results:
            F, F_en = (connected.standardised(part.to(weight.device)) for part in outputs)
            fit.update(F, F_en, numbers[places])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of few rows: the fit of the finished run tells
            weight.copy_(fit.solve())
    broadcast(weight)  # in place

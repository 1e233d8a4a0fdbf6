"""A probe: from a question's activations to the pairs that will answer it right, trained on the pilot set.

Y (n, L²) says which pairs answered which of the pilot's n questions right, less each question's mean: how
many pairs are right on a question is of no use for choosing among them. Forty questions in a dozen languages
cannot teach a thousand pairs one by one, so the probe predicts what differs between pairs in few directions:

    Ŷ = 1 m + Z Bᵀ,   Z = ridge(features)    m (L²,) the mean of Y over questions
                                             B (L², r) orthonormal directions in the space of pairs

B are either Y's first right singular vectors ("low rank"), or a basis of what a source layer does with
whatever target layer, and the other way round ("layers"). Rank and penalty are chosen by cross-validation
over the pilot's questions, by squared error. Rank 0 is one of those: then the probe has found nothing in the
activations, and its pair is the best fixed one of all languages.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from cctuning.analysis.selectors.answers import Array, LabelledAnswers, UnlabelledAnswers
from cctuning.analysis.selectors.folds import folds
from cctuning.analysis.selectors.selector import PairChoice, PairSelector, Rule
from cctuning.tools.extras import extra

RANKS = (1, 2, 4, 8, 16)
PENALTIES = tuple(10.0**power for power in range(1, 7))
_FOLDS = 5

# From centred correctness (n, L²) to orthonormal directions (L², at most r), the most important one first.
Directions = Callable[[Array], Array]
Prediction = Callable[[Array, int], Array]


def leading_directions(centred: Array) -> Array:
    """The right singular vectors of the largest singular values, up to the highest rank tried."""
    return np.linalg.svd(centred, full_matrices=False)[2][: max(RANKS)].T


def layer_directions(centred: Array) -> Array:
    """An orthonormal basis of Y's that are a sum of a source layer's share and a target layer's."""
    layers = round(centred.shape[1] ** 0.5)
    source, target = np.repeat(np.eye(layers), layers, axis=0), np.tile(np.eye(layers), (layers, 1))
    # The last target layer is what is left of the sum of all source layers.
    return np.linalg.qr(np.concatenate([source, target[:, :-1]], axis=1))[0]


class Probe:
    """Ridge regression from features (n, k) to directions of correctness (n, L²)."""

    def __init__(self, features: Array, correct: Array, directions: Directions) -> None:
        centred = _without_difficulty(correct)
        self.features = features
        self.mean = centred.mean(axis=0)
        self.directions = directions(centred - self.mean)
        self.along = (centred - self.mean) @ self.directions  # (n, r)

    def fitted(self, penalty: float) -> Prediction:
        """For features (m, k) and a rank: by how much each pair is above the average one, (m, L²)."""
        with extra("analysis"):
            from sklearn.linear_model import Ridge
            from sklearn.pipeline import make_pipeline
            from sklearn.preprocessing import StandardScaler
        ridge = make_pipeline(StandardScaler(), Ridge(penalty, solver="cholesky"))
        ridge.fit(self.features, self.along)

        def predict(features: Array, rank: int) -> Array:
            along = ridge.predict(features).reshape(len(features), -1)[:, :rank]
            return np.asarray(self.mean + along @ self.directions[:, :rank].T)

        return predict


def _without_difficulty(correct: Array) -> Array:
    return correct - correct.mean(axis=1, keepdims=True)


def _learn(
    directions: Directions, ranks: Sequence[int] | None
) -> Callable[[Sequence[LabelledAnswers]], Rule]:
    """`ranks` to try; None: all directions."""

    def learn(pilot: Sequence[LabelledAnswers]) -> Rule:
        ids = [id for labelled in pilot for id in labelled.unlabelled.questions]
        features = np.concatenate([_features(labelled.unlabelled) for labelled in pilot])
        correct = np.concatenate([labelled.correct for labelled in pilot]).astype(np.float64)
        tried = ranks or [correct.shape[1]]
        penalty, rank = _chosen(ids, features, correct, directions, tried)
        predict = Probe(features, correct, directions).fitted(penalty)

        def rule(unlabelled: UnlabelledAnswers) -> PairChoice:
            return predict(_features(unlabelled), rank)[:, unlabelled.places].argmax(axis=1)

        return rule

    return learn


def _chosen(
    ids: Sequence[str], features: Array, correct: Array, directions: Directions, ranks: Sequence[int]
) -> tuple[float, int]:
    """The penalty and rank of least squared error on questions that were left out; at best rank 0."""
    errors: dict[tuple[float, int], float] = {}
    for training, left_out in _splits(ids):
        gold = _without_difficulty(correct[left_out])
        probe = Probe(features[training], correct[training], directions)
        for penalty in PENALTIES:
            predict = probe.fitted(penalty)
            for rank in (0, *ranks):
                error = float(((predict(features[left_out], rank) - gold) ** 2).sum())
                errors[penalty, rank] = errors.get((penalty, rank), 0.0) + error
    if not errors:  # a single question
        return PENALTIES[-1], 0
    return min(errors, key=lambda setting: (errors[setting], setting[1]))


def _splits(ids: Sequence[str]) -> Iterator[tuple[Array, Array]]:
    """Training and left-out rows, so that no question is in both in whatever language."""
    parts = folds(ids, _FOLDS, np.random.default_rng(0))
    for part in parts if len(parts) > 1 else []:
        left_out = np.array([id in part for id in ids])
        yield ~left_out, left_out


def _features(unlabelled: UnlabelledAnswers) -> Array:
    if unlabelled.features is None:
        raise ValueError(f"{unlabelled.language}: the activations were not kept")
    return unlabelled.features


PROBE = {
    "probe_low_rank": PairSelector(
        "the pair that a ridge regression on the activations predicts, along few directions",
        _learn(leading_directions, RANKS),
        needs="activations",
    ),
    "probe_layers": PairSelector(
        "the same, source layer and target layer apart", _learn(layer_directions, None), needs="activations"
    ),
}

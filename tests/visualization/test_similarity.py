import math

import numpy as np
import pytest

from cctuning.visualization.similarity import mean_similarity, similarities


def vectors(seed=0, n=6, d=4, languages="abc"):
    rng = np.random.default_rng(seed)
    return {language: rng.normal(size=(n, d)) for language in languages}


def cosine(x, y):
    return math.fsum(x * y) / math.sqrt(math.fsum(x * x) * math.fsum(y * y))


def test_against_loops():
    given = vectors()
    found = {(one.a, one.b): one for one in similarities(given)}
    assert len(found) == 6
    for (a, b), one in found.items():
        table = [[cosine(x, y) for y in given[b]] for x in given[a]]
        n = len(table)
        assert one.parallel == pytest.approx(sum(table[i][i] for i in range(n)) / n)
        assert one.other == pytest.approx(
            sum(table[i][j] for i in range(n) for j in range(n) if i != j) / (n * n - n)
        )
        assert one.retrieval == sum(row.index(max(row)) == i for i, row in enumerate(table)) / n
    assert 0 < mean_similarity(list(found.values()))["retrieval"] < 1


def test_the_same_vectors_are_found():
    given = vectors(languages="a") | {"b": 3 * vectors(languages="a")["a"]}
    means = mean_similarity(similarities(given))
    assert means["retrieval"] == 1
    assert means["parallel"] == pytest.approx(1)
    assert means["difference"] == pytest.approx(1 - means["other"])


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_vectors_that_are_all_alike_are_found_by_chance(value):
    found = similarities({language: np.full((5, 3), value) for language in "ab"})
    assert [one.retrieval for one in found] == pytest.approx([0.2, 0.2])

import csv
import json

import numpy as np
import pytest
from matplotlib import image

from cctuning.visualization.flat_map import fitting_perplexity, flat_map
from cctuning.visualization.map_figure import _sign
from cctuning.visualization.map_files import write_maps
from cctuning.visualization.maps import map_model
from cctuning.visualization.parallel_texts import ParallelTexts


def clusters(seed=0, n=12):
    """Languages far from each other."""
    rng = np.random.default_rng(seed)
    return {language: rng.normal(size=(n, 8)) + 9 * np.eye(8)[place] for place, language in enumerate("abc")}


def test_neighbours_on_the_plane_are_those_of_the_vectors():
    points = flat_map(clusters(), perplexity=5, seed=0)
    assert {language: own.shape for language, own in points.items()} == dict.fromkeys("abc", (12, 2))
    everything = np.concatenate(list(points.values()))
    labels = np.repeat([0, 1, 2], 12)
    distances = np.linalg.norm(everything[:, None] - everything[None], axis=-1) + np.diag([np.inf] * 36)
    assert (labels[distances.argmin(1)] == labels).all()


def test_the_seed_decides():
    first = flat_map(clusters(), perplexity=5, seed=0)
    again = flat_map(clusters(), perplexity=5, seed=0)
    assert all(np.array_equal(first[language], again[language]) for language in first)


def test_length_does_not_matter():
    given = clusters()
    longer = {language: 7 * own for language, own in given.items()}
    first, second = (flat_map(one, perplexity=5, seed=0) for one in (given, longer))
    assert all(np.allclose(first[language], second[language], atol=1e-3) for language in first)


@pytest.mark.parametrize(("points", "used"), [(4, 1.0), (31, 10.0), (1000, 30.0)])
def test_few_points_have_fewer_neighbours(points, used):
    assert fitting_perplexity(points, 30.0) == used


def test_two_sentences_in_two_languages_are_enough():
    points = flat_map({"a": np.eye(4)[:2], "b": np.eye(4)[2:]}, perplexity=30, seed=0)
    assert all(np.isfinite(own).all() for own in points.values())


def test_vectors_that_are_all_the_same_are_told():
    with pytest.raises(ValueError, match="same representation"):
        flat_map({"a": np.ones((3, 4)), "b": 2 * np.ones((3, 4))}, perplexity=30, seed=0)


def test_every_language_looks_unlike_the_others():
    assert len({tuple(_sign(number).values()) for number in range(49)}) == 49


@pytest.mark.renders
def test_files_hold_the_numbers_and_the_picture(tmp_path):
    texts = ParallelTexts(
        {language: tuple(f"{language}, {n}" for n in range(12)) for language in "abc"},
        tuple(f"{n}" for n in range(12)),
    )
    maps = [
        map_model(name, mode, clusters(seed), perplexity=5, seed=0)
        for seed, (name, mode) in enumerate({"base": "none", "cctuning": "bilingual"}.items())
    ]
    write_maps(tmp_path, maps, texts, {"perplexity": 30.0, "layer": -1})
    report = json.loads((tmp_path / "representations.json").read_text())
    assert (report["sentences"], report["layer"], report["perplexity_used"]) == (12, -1, 35 / 3)
    assert [model["connection"] for model in report["models"]] == ["none", "bilingual"]
    assert report["models"][0]["means"] == maps[0].means
    with (tmp_path / "similarity.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12 and float(rows[0]["parallel"]) == maps[0].similarities[0].parallel
    with (tmp_path / "representations.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 36
    assert (rows[13]["language"], rows[13]["text"]) == ("b", "b, 1")
    assert float(rows[13]["x"]) == maps[0].points["b"][1, 0]
    assert image.imread(tmp_path / "representations.png").shape[1] > 1000
    assert "<svg" in (tmp_path / "representations.svg").read_text()

import pytest

from cctuning.nearest import did_you_mean, nearest

KEYS = ["learning_rate", "num_train_epochs", "connection.pooling", "lora.r", "seed"]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("learning_rat", "learning_rate"),
        ("LEARNING_RATE", "learning_rate"),
        ("pooling", "connection.pooling"),
        ("connection.poling", "connection.pooling"),
        ("epochs", "num_train_epochs"),
        ("zzz", None),
        ("", None),
    ],
)
def test_the_nearest_name(typed, meant):
    assert nearest(typed, KEYS) == meant


def test_the_spelling_of_the_known_name_is_kept():
    assert did_you_mean("readme.MD", ["README.md"]) == "; did you mean 'README.md'?"
    assert did_you_mean("x", []) == ""

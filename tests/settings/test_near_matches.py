import pytest

from cctuning.commands.schemas import ChatRecipe, FitRecipe, TrainRecipe
from cctuning.settings.aliases import OTHER_NAMES
from cctuning.settings.keys import keys_of
from cctuning.settings.near_matches import did_you_mean, nearest

KEYS = ["learning_rate", "num_train_epochs", "connection.pooling", "lora.r", "seed"]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("learning_rat", "learning_rate"),
        ("LEARNING_RATE", "learning_rate"),
        ("pooling", "connection.pooling"),
        ("connection.poling", "connection.pooling"),
        ("epochs", "num_train_epochs"),
        ("lr", "learning_rate"),
        ("lora_rank", "lora.r"),
        ("zzz", None),
        ("", None),
    ],
)
def test_the_nearest_name(typed, meant):
    assert nearest(typed, KEYS) == meant


def test_the_spelling_of_the_known_name_is_kept():
    assert did_you_mean("readme.MD", ["README.md"]) == "; did you mean 'README.md'?"
    assert did_you_mean("x", []) == ""


def test_what_other_programs_say_leads_to_settings_that_exist_and_is_none_itself():
    train = keys_of(TrainRecipe)
    assert set(OTHER_NAMES) <= {*train, *keys_of(FitRecipe), *keys_of(ChatRecipe)}
    for ours, others in OTHER_NAMES.items():
        for other in others.split():
            assert other not in train or ours not in train, other
            assert ours not in train or nearest(other.upper(), train) == ours

"""Whatever a recipe or an argument holds, the answer is a recipe, or an error that names key or file."""

import tempfile
from pathlib import Path

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from cctuning.commands.schemas import TrainRecipe
from cctuning.settings.assignments import RecipeError
from cctuning.settings.keys import Choice, LibraryChoice, keys_of
from cctuning.settings.recipe import load_recipe, save_recipe

KEYS = keys_of(TrainRecipe)
NEEDED = ["model_name_or_path=m", "data=rows.jsonl"]
# With rules over several.
TOGETHER = ("connection", "run_name", "eval_", "load_best_model", "early_stopping", "metric_for_best_model")
TOGETHER += ("per_device_train_batch_size", "hub_", "load_in_4bit", "bnb_4bit_", "streaming", "buffer_size")

texts = st.text(max_size=6) | st.sampled_from(
    ["${seed}", "${a", "[a", "{", "???", "null", "nan", "1e400", "1_0"]
)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts
values = scalars | st.lists(scalars, max_size=3) | st.dictionaries(texts | st.integers(), scalars, max_size=2)
names = st.sampled_from([*KEYS, "lora", "connection", "lr", "base"]) | texts


def nested(assignments):
    """`{"lora.r": 8}` as `{"lora": {"r": 8}}`, where nothing stands in the way."""
    tree = {}
    for name, value in assignments.items():
        group, _, rest = str(name).partition(".")
        inner = tree.setdefault(group, {})
        if rest and isinstance(inner, dict):
            inner[rest] = value
        else:
            tree[group] = value
    return tree


def load(arguments):
    """The recipe, or None after an error that says what is wrong in words of ours."""
    try:
        return load_recipe(arguments, TrainRecipe)
    except RecipeError as error:
        assert str(error).strip()
        return error


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(names, values, max_size=3))
def test_any_recipe_is_read_or_refused_by_name(content):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mine.yaml"
        path.write_text(yaml.safe_dump(nested(content), allow_unicode=True), encoding="utf-8")
        result = load([f"recipe={path}", *(need for need in NEEDED if need.partition("=")[0] not in content)])
        if isinstance(result, RecipeError):
            said = str(result)
            assert "mine.yaml" in said or any(str(name) in said for name in content)
        else:
            again = Path(folder) / "again.yaml"
            save_recipe(result, again)
            assert load_recipe([f"recipe={again}"], TrainRecipe) == result


@settings(deadline=None, max_examples=60)
@given(names, texts | st.floats().map(str) | st.integers().map(str))
def test_any_argument_is_read_or_refused_by_name(name, text):
    result = load([*(need for need in NEEDED if need.partition("=")[0] != name), f"{name}={text}"])
    if isinstance(result, RecipeError):
        assert repr(name.partition("=")[0])[1:-1] in str(result)


@settings(deadline=None, max_examples=50)
@given(st.binary(max_size=40))
def test_any_bytes_are_a_recipe_or_an_error_that_names_the_file(content):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mine.yaml"
        path.write_bytes(content)
        result = load([f"recipe={path}", *NEEDED])
        assert not isinstance(result, RecipeError) or "mine.yaml" in str(result)


def allowed(key):
    """Values of a key that its type and its rule allow."""
    if isinstance(key.rule, Choice | LibraryChoice):
        options = st.sampled_from(key.rule.values if isinstance(key.rule, Choice) else key.rule.common)
        return st.lists(options, min_size=1, max_size=2) if key.is_list else options
    if key.is_open:
        return st.dictionaries(st.sampled_from("ab"), st.booleans() | st.text("ab", min_size=1), max_size=2)
    if key.is_list:
        return st.lists(st.text("ab/$\\{} é", min_size=1, max_size=5), min_size=1, max_size=3)
    if bool in key.plain_types:
        return st.booleans()
    if key.is_text:
        return st.text("ab/$\\{}:# é", min_size=1, max_size=6)
    low = getattr(key.rule, "at_least", None) or getattr(key.rule, "above", None) or 0
    high = getattr(key.rule, "at_most", None) or 1000
    if int in key.plain_types:
        return st.integers(int(low) + 1, max(int(high), int(low) + 1))
    return st.floats(low, high, exclude_min=True, allow_subnormal=False)


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_a_recipe_of_allowed_values_reads_back_the_same_from_its_file(data):
    chosen = data.draw(
        st.lists(
            st.sampled_from(sorted(name for name, key in KEYS.items() if not key.is_open)),
            unique=True,
            max_size=8,
        )
    )
    content = nested({name: data.draw(allowed(KEYS[name]), label=name) for name in chosen})
    given_names = [need for need in NEEDED if need.partition("=")[0] not in chosen]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mine.yaml"
        path.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
        result = load([f"recipe={path}", *given_names])
        if isinstance(result, RecipeError):
            # Text that OmegaConf takes for the start of an interpolation, or a rule over several keys.
            assert "$" in str(content) or any(name.startswith(TOGETHER) for name in content)
            return
        save_recipe(result, path)
        assert load_recipe([f"recipe={path}"], TrainRecipe) == result

"""Recipes are read with a small schema of our own here; the shipped ones are in test_schemas.py."""

import dataclasses
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cctuning.commands.schemas import EvaluateRecipe, TrainRecipe
from cctuning.settings.assignments import RecipeError
from cctuning.settings.keys import keys_of, list_of, number, numbers, one_of, required, setting
from cctuning.settings.recipe import help_text, load_recipe, recipe_from_call, recipe_settings, save_recipe
from cctuning.settings.recipe_files import RECIPES, recipe_files


@dataclass
class Oven:
    """A group of keys."""

    degrees: float = number(180.0, above=0, at_most=300, help="Celsius")
    fan: bool = setting(True, "turns")

    def __post_init__(self) -> None:
        if self.fan and self.degrees > 250:
            raise ValueError(f"degrees={self.degrees} is too hot for the fan")


@dataclass
class Cake:
    """A schema with every kind of field."""

    flour: str = required("what it is made of")
    run_name: str = setting("run", "default: the recipe's name")
    eggs: int = number(2, at_least=0, help="pieces")
    sugar: float | None = setting(None, "grams")
    note: str | None = setting(None, "free text")
    shape: str = one_of("round", "square", "no", or_path=True, help="seen from above")
    toppings: list[str] = field(default_factory=list)  # in this order
    colours: list[str] = list_of("brown", "white", help="of the icing")
    tiers: list[int] = numbers(8, at_least=1, help="their widths")
    oven: Oven = field(default_factory=Oven)


@pytest.fixture
def folder(tmp_path):
    def write(name, text):
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")

    write("sponge", "flour: wheat\neggs: 4\noven:\n  degrees: 170\n")
    write("small_sponge", "base: sponge\neggs: 1\n")
    write("tiny_sponge", "base: small_sponge\noven:\n  fan: false\n")
    write("_pantry", "flour: rye\n")
    return tmp_path


def load(folder, *arguments):
    return load_recipe(arguments, Cake, folder=folder)


# --- What is read -------------------------------------------------------------------------------------------


def test_defaults_file_and_command_line_in_this_order(folder):
    cake = load(folder, "recipe=sponge", "oven.fan=false", "eggs=3")
    assert cake == Cake(flour="wheat", run_name="sponge", eggs=3, oven=Oven(degrees=170.0, fan=False))
    assert type(cake.oven) is Oven
    assert type(cake.toppings) is list


def test_a_base_recipe_may_have_a_base_itself(folder):
    cake = load(folder, "recipe=tiny_sponge")
    assert (cake.flour, cake.eggs, cake.oven) == ("wheat", 1, Oven(degrees=170.0, fan=False))
    assert cake.run_name == "tiny_sponge"


def test_a_recipe_by_path_with_a_base_in_the_folder_of_recipes(folder, tmp_path_factory):
    path = tmp_path_factory.mktemp("elsewhere") / "mine.yaml"
    path.write_text("base: sponge\nrun_name: best\n")
    cake = load(folder, f"recipe={path}")
    assert (cake.eggs, cake.run_name) == (4, "best")


def test_no_recipe_at_all(folder):
    assert load(folder, "flour=oat") == Cake(flour="oat")


@pytest.mark.parametrize(
    ("argument", "key", "value"),
    [
        ("eggs=0", "eggs", 0),
        ("sugar=1e2", "sugar", 100.0),
        ("sugar=3", "sugar", 3.0),
        ("sugar=null", "sugar", None),
        ("note=null", "note", None),
        ("note=no", "note", "no"),  # for YAML these are false, a number and an error
        ("note=12e4", "note", "12e4"),
        ("note=[x", "note", "[x"),
        ("note=a=b: c", "note", "a=b: c"),
        ("shape=no", "shape", "no"),
        ("toppings=[]", "toppings", []),
        ("toppings=[a.jsonl,org/name:config]", "toppings", ["a.jsonl", "org/name:config"]),
        ("toppings=a.jsonl", "toppings", ["a.jsonl"]),
        ("colours=white", "colours", ["white"]),
        ("tiers=[9,4]", "tiers", [9, 4]),
        ("tiers=9", "tiers", [9]),
        ("oven.fan=false", "oven", Oven(degrees=170.0, fan=False)),
    ],
)
def test_values_on_the_command_line(folder, argument, key, value):
    assert getattr(load(folder, "recipe=sponge", argument), key) == value


def test_what_a_launcher_adds_is_passed_over(folder):
    assert load(folder, "--local_rank=1", "flour=oat", "--local-rank=1") == Cake(flour="oat")


# --- What is refused ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argument", "parts"),
    [
        ("egg=3", ["unknown key 'egg'", "'eggs'"]),
        ("fan=false", ["unknown key 'fan'", "'oven.fan'"]),
        ("oven.degree=3", ["unknown key 'oven.degree'", "'oven.degrees'"]),
        ("base=sponge", ["unknown key 'base'"]),
        ("eggs=x", ["eggs='x'", "must be int"]),
        ("eggs=1.5", ["eggs=1.5", "must be int"]),
        ("eggs=true", ["eggs=True", "must be int"]),
        ("eggs=null", ["eggs=null", "must be int"]),
        ("oven.fan=perhaps", ["oven.fan='perhaps'", "must be bool"]),
        ("toppings=[1]", ["toppings=1", "must be text"]),
        ("toppings=[a", ["toppings=[a", "is not a value"]),
        ("oven=hot", ["oven", "group of keys", "oven.degrees"]),
        ("eggs=-1", ["eggs", "out of range", "at least 0"]),
        ("oven.degrees=0", ["oven.degrees", "above 0"]),
        ("oven.degrees=nan", ["oven.degrees", "out of range"]),
        ("oven.degrees=-inf", ["oven.degrees", "at most 300"]),
        ("oven.degrees=299", ["oven.degrees", "too hot for the fan"]),
        ("shape=rund", ["shape", "round | square | no | PATH", "did you mean 'round'"]),
        ("tiers=[9,x]", ["tiers", "whole numbers", "'x'"]),
        ("tiers=[9,1.5]", ["tiers", "whole numbers", "1.5"]),
        ("tiers=[9,true]", ["tiers", "whole numbers", "True"]),
        ("tiers=null", ["tiers", "whole numbers", "null"]),
        ("tiers=[9,0]", ["tiers", "0 is out of range", "at least 1"]),
        ("colours=[white,brwn]", ["colours", "did you mean 'brown'"]),
        ("eggs=${dozen}", ["eggs", "dozen"]),
    ],
)
def test_a_bad_key_or_value_is_named_with_its_place(folder, argument, parts):
    with pytest.raises(RecipeError) as error:
        load(folder, "recipe=sponge", argument)
    for part in [*parts, "on the command line"]:
        assert part in str(error.value)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("egg: 3", ["unknown key 'egg'", "'eggs'"]),
        ("oven: 3", ["oven", "group of keys"]),
        ("eggs: many", ["eggs='many'", "must be int"]),
        ("note: no", ["note=False", "quotes"]),
        ("note: 12e4", ["note=120000.0", "quotes"]),
        ("toppings: [no]", ["toppings=False", "quotes"]),
        ("shape: rund", ["did you mean 'round'"]),
        ("eggs: [", ["not readable YAML"]),
        ("eggs: 1\neggs: 2", ["not readable YAML", "eggs"]),
        ("- 1", ["key: value"]),
        ("base: spnge", ["spnge", "did you mean 'sponge'"]),
    ],
)
def test_a_bad_file_is_named(folder, text, parts):
    path = folder / "bad.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError) as error:
        load(folder, "recipe=bad", "flour=oat")
    for part in [*parts, "bad.yaml"]:
        assert part in str(error.value)


def test_an_error_in_a_base_names_the_base(folder):
    (folder / "sponge.yaml").write_text("egg: 3")
    with pytest.raises(RecipeError, match=r"sponge\.yaml") as error:
        load(folder, "recipe=small_sponge")
    assert "small_sponge.yaml" not in str(error.value)


@pytest.mark.parametrize("chain", ["a", "ab", "abc"])
def test_bases_in_a_circle(folder, chain):
    for name, base in zip(chain, chain[1:] + chain[0], strict=True):
        (folder / f"{name}.yaml").write_text(f"base: {base}")
    with pytest.raises(RecipeError, match="each other's base"):
        load(folder, "recipe=a")


def test_a_wrong_recipe_name_lists_the_others(folder):
    with pytest.raises(RecipeError) as error:
        load(folder, "recipe=spong")
    assert "did you mean 'sponge'" in str(error.value)
    assert "available: small_sponge, sponge, tiny_sponge" in str(error.value)
    assert "_pantry" not in str(error.value)  # a base only
    for extra in range(20):
        (folder / f"more{extra:02}.yaml").write_text("seed: 1")
    with pytest.raises(RecipeError) as error:
        load(folder, "recipe=spong")
    assert "(23 in all: cctuning recipes)" in str(error.value) and "more19" not in str(error.value)


def test_recipes_in_a_folder_of_their_own(folder):
    (folder / "rich").mkdir()
    (folder / "rich" / "butter_sponge.yaml").write_text("base: sponge\neggs: 5\ntiers: 7\n")
    (folder / "rich" / "oil.yaml").write_text("litres: 3\n")  # no cake
    cake = load(folder, "recipe=rich/butter_sponge")
    assert (cake.flour, cake.eggs, cake.tiers, cake.run_name) == ("wheat", 5, [7], "butter_sponge")
    with pytest.raises(RecipeError) as error:
        load(folder, "recipe=butter_sponge")
    assert "did you mean 'rich/butter_sponge'" in str(error.value)
    assert "rich/oil" not in str(error.value)


def test_a_path_that_is_not_there(folder):
    with pytest.raises(RecipeError, match=r"no recipe 'gone\.yaml'"):
        load(folder, "recipe=gone.yaml")


def test_a_required_key(folder):
    with pytest.raises(RecipeError, match="flour must be set"):
        load(folder, "eggs=1")


@pytest.mark.parametrize("argument", ["sponge", "--recipe", "--eggs=3"])
def test_arguments_are_written_key_value(folder, argument):
    with pytest.raises(RecipeError, match="key=value"):
        load(folder, argument)


def test_a_key_twice(folder):
    with pytest.raises(RecipeError, match="twice"):
        load(folder, "eggs=1", "eggs=2")


# --- What is written ----------------------------------------------------------------------------------------


def test_a_saved_recipe_holds_every_key(folder):
    save_recipe(load(folder, "recipe=sponge"), folder / "resolved.yaml")
    text = (folder / "resolved.yaml").read_text()
    for key in keys_of(Cake):
        assert f"{key.rpartition('.')[2]}:" in text


texts = st.text(st.characters(exclude_categories=("Cs", "Cc")))
cakes = st.builds(
    Cake,
    flour=texts.filter(lambda text: text != "???"),  # OmegaConf's word for a value that is missing
    run_name=texts.filter(lambda text: text != "???"),
    eggs=st.integers(min_value=0),
    sugar=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    note=st.none()
    | texts.filter(lambda text: text != "???")
    | st.sampled_from(["no", "1e3", "null", "${x}", "\\${x}"]),
    shape=st.sampled_from(["round", "square", "no"]),
    toppings=st.lists(texts.filter(lambda text: text != "???")),
    tiers=st.lists(st.integers(min_value=1)),
    oven=st.builds(Oven, degrees=st.floats(min_value=1, max_value=250), fan=st.booleans()),
)


@settings(deadline=None, max_examples=40)
@given(cakes)
def test_a_saved_recipe_reads_back_the_same(cake):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cake.yaml"
        save_recipe(cake, path)
        assert load_recipe([f"recipe={path}"], Cake) == cake


# --- The door of an entry script ----------------------------------------------------------------------------


def test_help_shows_every_key_and_recipe(folder):
    shown = help_text("Bakes.", Cake, folder)
    assert shown.startswith("Bakes.\n")
    assert "small_sponge, sponge, tiny_sponge" in shown
    for name, key in keys_of(Cake).items():
        (line,) = [line for line in shown.splitlines() if line.strip().startswith(f"{name} ")]
        assert key.help in line
        assert key.type_name in line
    assert "flour" in shown and "required" in shown
    assert "above 0, at most 300" in shown


def test_settings_are_shown_with_their_places(folder):
    rows = {key: (value, place) for key, value, place in recipe_settings(["eggs=3"], Cake, folder=folder)}
    assert rows["eggs"] == ("3", "on the command line")
    assert rows["oven.degrees"] == ("180.0", "default")
    assert rows["flour"] == ("required", "default")
    named = {key: place for key, _, place in recipe_settings(["recipe=sponge"], Cake, folder=folder)}
    assert named["flour"] == f"in {folder / 'sponge.yaml'}"


def test_a_call_takes_an_object_or_a_name_and_keywords(folder):
    made = recipe_from_call(Cake, "sponge", {"eggs": 3, "oven": {"fan": False}}, folder=folder)
    assert (made.eggs, made.oven.fan, made.run_name) == (3, False, "sponge")
    assert recipe_from_call(Cake, made, {"eggs": 4}, folder=folder) == dataclasses.replace(made, eggs=4)
    assert recipe_from_call(Cake, None, {"flour": Path("rye")}, folder=folder).flour == "rye"
    with pytest.raises(RecipeError, match=r"'egg' \(in the call\); did you mean 'eggs'"):
        recipe_from_call(Cake, "sponge", {"egg": 3}, folder=folder)


def test_an_object_is_checked_like_any_other_recipe(folder):
    cake = Cake("rye")
    for recipe, more, said in (
        (cake, {"egg": 3}, "unknown key 'egg'"),
        (cake, {"eggs": -1}, "at least 0"),
        (dataclasses.replace(cake, shape="oval"), {}, "'oval' is not one of"),
        (Oven(), {}, "a Oven is given where a Cake is needed"),
    ):
        with pytest.raises(RecipeError, match=said):
            recipe_from_call(Cake, recipe, more, folder=folder)
    assert recipe_from_call(Cake, cake, {"oven": {"fan": False}}, folder=folder).oven == Oven(fan=False)
    assert recipe_from_call(Cake, None, {"flour": "${x}"}, folder=folder).flour == "${x}"


def test_an_output_folder_that_follows_from_the_name_follows_it_again(tmp_path):
    recipe = TrainRecipe("model", ["rows.jsonl"])
    renamed = recipe_from_call(TrainRecipe, recipe, {"run_name": "b"}, folder=tmp_path)
    assert renamed.output_dir == "outputs/b"
    kept = dataclasses.replace(recipe, output_dir="mine")
    assert recipe_from_call(TrainRecipe, kept, {"run_name": "b"}, folder=tmp_path).output_dir == "mine"


def test_a_folder_of_recipes_here_comes_before_the_package(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own = tmp_path / "recipes" / "evaluation"
    own.mkdir(parents=True)
    (own / "xnli.yaml").write_text("benchmarks: [mkqa]\nlimit: 7")
    folder = RECIPES / "evaluation"
    assert load_recipe(["recipe=xnli", "model=m"], EvaluateRecipe, folder=folder).limit == 7
    assert load_recipe(["recipe=xquad", "model=m"], EvaluateRecipe, folder=folder).benchmarks == ["xquad"]


def test_a_file_of_every_model_is_a_recipe_for_each_that_has_its_base(folder):
    (folder / "rye_bread.yaml").write_text("flour: rye")
    (folder / "oat_bread.yaml").write_text("flour: oat")
    (folder / "_plain_bread.yaml").write_text("flour: plain")
    (folder / "sweet").mkdir()
    (folder / "MODEL_bread_more.yaml").write_text("base: MODEL_bread\neggs: 9")
    (folder / "sweet/MODEL_bread_milk.yaml").write_text(
        "base: MODEL_bread_more\ntoppings: [milk, MODEL flakes]"
    )
    made = load_recipe(["recipe=sweet/oat_bread_milk"], Cake, folder=folder)
    assert (made.flour, made.eggs, made.toppings) == ("oat", 9, ["milk", "oat flakes"])
    assert made.run_name == "oat_bread_milk"
    files = recipe_files(Cake, folder)
    names = {f"{kind}_bread_more" for kind in ("rye", "oat")} | {
        f"sweet/{kind}_bread_milk" for kind in ("rye", "oat")
    }
    assert {name for name in files if "bread_" in name} == names
    with pytest.raises(RecipeError, match="did you mean 'oat_bread_more'"):
        load_recipe(["recipe=oats_bread_more"], Cake, folder=folder)


def test_files_of_every_model_that_are_each_others_base_are_of_none(folder):
    (folder / "MODEL_one.yaml").write_text("base: MODEL_two")
    (folder / "MODEL_two.yaml").write_text("base: MODEL_one")
    with pytest.raises(RecipeError, match="no recipe 'rye_one'"):
        load_recipe(["recipe=rye_one"], Cake, folder=folder)


@dataclass
class Shelf:
    """Keys that name files, and one that does not."""

    folder: str = setting("", "a folder", names="path")
    model: str | None = setting(None, "a model", names="model")
    files: list[str] = setting([], "files", names="path")
    title: str = setting("", "free text")


def test_a_path_may_begin_with_the_users_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "shelf.yaml").write_text("model: ~/model")
    typed = ["recipe=~/shelf.yaml", "folder=~/out", "files=[~/a,b~]", "title=~/x"]
    shelf = load_recipe(typed, Shelf)
    assert shelf == Shelf(f"{tmp_path}/out", f"{tmp_path}/model", [f"{tmp_path}/a", "b~"], "~/x")
    called = recipe_from_call(Shelf, None, {"files": "~/a"}, folder=tmp_path)
    assert called.files == [f"{tmp_path}/a"]

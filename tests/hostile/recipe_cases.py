"""Recipes and arguments that cannot be used."""

from pathlib import Path

from tests.hostile.cases import Table
from tests.hostile.data_cases import arguments
from tests.scripts import write_rows

TABLE = Table("train", status=2)
row = TABLE.row


def recipe(folder: Path, text: str | bytes, *more: str) -> list[str]:
    """The arguments of a run with a recipe of this text."""
    (folder / "mine.yaml").write_bytes(text.encode() if isinstance(text, str) else text)
    return ["recipe=mine.yaml", *run(folder, *more)]


def recipe_alone(folder: Path, text: str, *more: str) -> list[str]:
    """The same, with nothing but `more` on the command line."""
    return [recipe(folder, text)[0], *more]


def run(folder: Path, *more: str) -> list[str]:
    """The arguments of a run that would work, and `more`."""
    write_rows(folder / "rows.jsonl")
    given = {argument.partition("=")[0] for argument in more}
    return [*(known for known in arguments(folder) if known.partition("=")[0] not in given), *more]


# --- YAML ---------------------------------------------------------------------------------------------------

LAUGHS = [f"k{level}: &k{level} [{', '.join([f'*k{level - 1}'] * 10)}]" for level in range(1, 10)]

row("tabs as indentation", "mine.yaml … YAML … line 2", recipe, "lora:\n\tr: 8\n")
row("one word", "learning_rate=null (in mine.yaml) … float", recipe, "learning_rate\n")
row("one number", "mine.yaml … YAML", recipe, "0\n")
row("an empty recipe", "data, model_name_or_path must be set … recipe=NAME", recipe_alone, "")
row("a key in two spellings", "lora.r … twice (in mine.yaml)", recipe, "lora.r: 8\nlora:\n  r: 16\n")
row(
    "a tag that names Python code",
    "mine.yaml … YAML … os.system",
    recipe,
    "run_name: !!python/object/apply:os.system ['touch ran']\n",
)
row(
    "anchors that unfold to a billion values",
    "mine.yaml … YAML … limit",
    recipe,
    "\n".join(["k0: &k0 [ha, ha, ha]", *LAUGHS]),
)
row("an anchor inside of itself", "mine.yaml … YAML … recursive", recipe, "lora: &lora\n  r: *lora\n")
row("10,000 nested lists", "mine.yaml … YAML", recipe, "data: " + "[" * 10_000 + "]" * 10_000)
row("a binary file", "mine.yaml … YAML", recipe, bytes(range(256)))
row("UTF-16", "mine.yaml … YAML", recipe, "seed: 1\n".encode("utf-16"))
row("an interpolation that leads nowhere", "run_name (in mine.yaml): … name", recipe, "run_name: ${name}\n")
row(
    "interpolations in a circle",
    "run_name (in mine.yaml): … interpolation",
    recipe,
    "run_name: ${language}\nlanguage: ${run_name}\n",
)
row("an open interpolation", "mine.yaml … YAML", recipe, "run_name: ${language\n")
for value in ("${oc.env:PATH}", "${language.${oc.env:PATH}}", "${oc.${language}:PATH}", "${shell:date}"):
    row(
        f"a value that is computed: {value}",
        "run_name= … (in mine.yaml) … environment or from a function",
        recipe,
        f"run_name: '{value}'\n",
    )
row("a list of the environment", "data= … (in mine.yaml)", recipe_alone, "data: ['${oc.env:PATH}']\n")

# --- Which recipe -------------------------------------------------------------------------------------------

row("an empty recipe name", "recipe= … (on the command line)", run, "recipe=")
row("a list of bases", "base (in mine.yaml) … one recipe", recipe, "base: [a.yaml, b.yaml]\n")


@TABLE.case("no recipe 'mine.yaml' (on the command line) … available:")
def a_folder_as_a_recipe(folder: Path) -> list[str]:
    (folder / "mine.yaml").mkdir()
    return run(folder, "recipe=mine.yaml")


# --- Keys ---------------------------------------------------------------------------------------------------

row(
    "another program's name in a recipe",
    "unknown key 'max_seq_length' (in mine.yaml) … did you mean 'cutoff_len'",
    recipe,
    "max_seq_length: 2048\n",
)
row("a key of another command", "unknown key 'pairs' … a key of cctuning fit", run, "pairs=10")
row(
    "a recipe of another command",
    "no recipe 'xnli' … xnli is a recipe of cctuning evaluate",
    lambda folder: ["recipe=xnli"],
)
row(
    "a file that is another command's recipe",
    "unknown key 'pairs' (in mine.yaml) … mine.yaml is a recipe of cctuning fit",
    recipe_alone,
    "pairs: 10\n",
)
row("a key like no other", "unknown key 'zzz' (in mine.yaml) … --help", recipe, "zzz: 1\n")
row("a key that is no text", "unknown key '1' (in mine.yaml) … --help", recipe, "1: 2\n")

# --- Values -------------------------------------------------------------------------------------------------

row("an empty value", "learning_rate= (on the command line) … no value", run, "learning_rate=")
row(
    "a number of 10,000 digits",
    "cutoff_len= … (on the command line) is not a value",
    run,
    "cutoff_len=" + "9" * 10_000,
)
row("a list for one value", "run_name=['a', 'b'] (in mine.yaml) … str", recipe, "run_name: [a, b]\n")
row(
    "keys for a list",
    "data={'train': 'rows.jsonl'} (in mine.yaml) … list",
    recipe_alone,
    "data: {train: rows.jsonl}\n",
    "model_name_or_path=base",
)
row(
    "a list in a list",
    "data (in mine.yaml) … list of texts … ['rows.jsonl']",
    recipe_alone,
    "data: [[rows.jsonl]]\n",
    "model_name_or_path=base",
)

# --- Paths --------------------------------------------------------------------------------------------------

row(
    "a run_name that leads out",
    "run_name (on the command line): run_name=../../elsewhere … out of outputs/ … output_dir",
    run,
    "run_name=../../elsewhere",
    "output_dir=",
)
row(
    "a run_name from the root",
    "run_name (on the command line): run_name=/ … elsewhere … out of outputs/ … output_dir",
    lambda folder: run(folder, f"run_name={folder}/elsewhere", "output_dir="),
)
row(
    "a NUL in the output folder's name",
    "output_dir='a\\x00b' (in mine.yaml) … NUL",
    lambda folder: [word for word in recipe(folder, 'output_dir: "a\\0b"\n') if word != "output_dir=out"],
)
row("an empty model name", "model_name_or_path= (on the command line) … no value", run, "model_name_or_path=")


@TABLE.case("resume=base: complete.json is missing", status=1)
def a_folder_that_is_no_checkpoint(folder: Path) -> list[str]:
    (folder / "out").mkdir()  # where one run keeps others out while it looks for its checkpoint
    return run(folder, "resume=base")

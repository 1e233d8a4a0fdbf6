"""Recipes and arguments that cannot be used."""

from __future__ import annotations

from pathlib import Path

from tests.hostile.cases import ANY, Group
from tests.hostile.data_cases import arguments
from tests.scripts import write_rows

CASES = Group("Recipes and arguments")


def recipe(folder: Path, text: str | bytes, *more: str, name: str = "mine.yaml") -> list[str]:
    """The arguments of a run with a recipe of this text."""
    (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
    return [f"recipe={name}", *run(folder, *more)]


def run(folder: Path, *more: str) -> list[str]:
    """The arguments of a run that would work, and `more`."""
    write_rows(folder / "rows.jsonl")
    given = {argument.partition("=")[0] for argument in more}
    return [*(known for known in arguments(folder) if known.partition("=")[0] not in given), *more]


# --- YAML ---------------------------------------------------------------------------------------------------


@CASES.case("a recipe that is no YAML", error=f"mine.yaml is not readable YAML: {ANY}", status=2)
def no_yaml(folder: Path) -> list[str]:
    return recipe(folder, "data: [rows.jsonl\n")


@CASES.case("tabs as indentation", error=f"mine.yaml is not readable YAML: {ANY}", status=2)
def tabs(folder: Path) -> list[str]:
    return recipe(folder, "lora:\n\tr: 8\n")


@CASES.case("a list in place of keys", error="mine.yaml holds no `key: value` lines", status=2)
def top_list(folder: Path) -> list[str]:
    return recipe(folder, "- learning_rate: 1e-5\n")


@CASES.case("one word", error="learning_rate=null (in mine.yaml) must be float", status=2)
def one_word(folder: Path) -> list[str]:
    return recipe(folder, "learning_rate\n")


@CASES.case(
    "an empty recipe",
    error=("data, model_name_or_path must be set: by a recipe (recipe=NAME) or on the command line"),
    status=2,
)
def empty(folder: Path) -> list[str]:
    return recipe(folder, "")[:1]


@CASES.case("a key twice in a recipe", error=f"mine.yaml is not readable YAML: {ANY}", status=2)
def key_twice(folder: Path) -> list[str]:
    return recipe(folder, "seed: 1\nseed: 2\n")


@CASES.case("a key in both of its spellings", error="lora.r is there twice (in mine.yaml)", status=2)
def two_spellings(folder: Path) -> list[str]:
    return recipe(folder, "lora.r: 8\nlora:\n  r: 16\n")


@CASES.case("a tag that names Python code", error=f"mine.yaml is not readable YAML: {ANY}", status=2)
def python_tag(folder: Path) -> list[str]:
    return recipe(folder, "run_name: !!python/object/apply:os.system ['touch ran']\n")


@CASES.case(
    "ten anchors that would unfold to a billion values",
    error=f"mine.yaml is not readable YAML: {ANY}",
    status=2,
)
def billion_laughs(folder: Path) -> list[str]:
    levels = [f"k{level}: &k{level} [{', '.join([f'*k{level - 1}'] * 10)}]" for level in range(1, 10)]
    return recipe(folder, "\n".join(["k0: &k0 [ha, ha, ha]", *levels]))


@CASES.case("an anchor inside of itself", error=f"mine.yaml is not readable YAML: {ANY}", status=2)
def anchor_in_itself(folder: Path) -> list[str]:
    return recipe(folder, "lora: &lora\n  r: *lora\n")


@CASES.case("10,000 nested lists", error=f"mine.yaml is not readable YAML: {ANY}", status=2)
def deep(folder: Path) -> list[str]:
    return recipe(folder, "data: " + "[" * 10_000 + "]" * 10_000)


@CASES.case("a binary file as a recipe", error=f"mine.yaml is not readable YAML: {ANY}", status=2)
def binary(folder: Path) -> list[str]:
    return recipe(folder, bytes(range(256)))


@CASES.case("a recipe in UTF-16", error=f"mine.yaml is not readable YAML: {ANY}", status=2)
def utf_16(folder: Path) -> list[str]:
    return recipe(folder, "seed: 1\n".encode("utf-16"))


@CASES.case("an interpolation that leads nowhere", error=f"run_name (in mine.yaml): {ANY}", status=2)
def interpolation(folder: Path) -> list[str]:
    return recipe(folder, "run_name: ${name}\n")


@CASES.case("interpolations in a circle", error=f"run_name (in mine.yaml): {ANY}", status=2)
def circle(folder: Path) -> list[str]:
    return recipe(folder, "run_name: ${language}\nlanguage: ${run_name}\n")


@CASES.case("an interpolation that is not closed", error=f"mine.yaml is not readable YAML: {ANY}", status=2)
def open_interpolation(folder: Path) -> list[str]:
    return recipe(folder, "run_name: ${language\n")


@CASES.case("an environment variable that is not set", error=f"run_name (in mine.yaml): {ANY}", status=2)
def environment(folder: Path) -> list[str]:
    return recipe(folder, "run_name: ${oc.env:CCTUNING_IS_NOT_SET}\n")


@CASES.case("a resolver that does not exist", error=f"run_name (in mine.yaml): {ANY}", status=2)
def resolver(folder: Path) -> list[str]:
    return recipe(folder, "run_name: ${shell:date}\n")


# --- Which recipe -------------------------------------------------------------------------------------------


@CASES.case(
    "a misspelt recipe",
    error=(
        f"no recipe 'lama31_aya' (on the command line) in {ANY}; did you mean 'llama31_aya'?\n"
        f"available: {ANY}"
    ),
    status=2,
)
def misspelt(folder: Path) -> list[str]:
    return run(folder, "recipe=lama31_aya")


@CASES.case(
    "a folder as a recipe",
    error=(f"no recipe 'mine.yaml' (on the command line) in {ANY}\navailable: {ANY}"),
    status=2,
)
def folder_as_recipe(folder: Path) -> list[str]:
    (folder / "mine.yaml").mkdir()
    return run(folder, "recipe=mine.yaml")


@CASES.case(
    "an empty recipe name", error=f"recipe= names no recipe (on the command line): one of {ANY}", status=2
)
def no_name(folder: Path) -> list[str]:
    return run(folder, "recipe=")


@CASES.case(
    "a base that is not there",
    error=(f"no recipe '../other.yaml' (base of mine.yaml) in . or {ANY}\navailable: {ANY}"),
    status=2,
)
def no_base(folder: Path) -> list[str]:
    return recipe(folder, "base: ../other.yaml\n")


@CASES.case(
    "a list of bases", error="base (in mine.yaml) must be the name or the path of one recipe", status=2
)
def bases(folder: Path) -> list[str]:
    return recipe(folder, "base: [a.yaml, b.yaml]\n")


@CASES.case(
    "recipes that are each other's base",
    error="recipes that are each other's base: mine.yaml -> other.yaml -> mine.yaml",
    status=2,
)
def base_circle(folder: Path) -> list[str]:
    (folder / "other.yaml").write_text("base: mine.yaml\n")
    return recipe(folder, "base: other.yaml\n")


# --- Keys ---------------------------------------------------------------------------------------------------


@CASES.case(
    "a misspelt key",
    error="unknown key 'learning_rat' (on the command line); did you mean 'learning_rate'?",
    status=2,
)
def misspelt_key(folder: Path) -> list[str]:
    return run(folder, "learning_rat=1e-5")


@CASES.case(
    "the name that another program has for a key",
    error="unknown key 'lr' (on the command line); did you mean 'learning_rate'?",
    status=2,
)
def other_key(folder: Path) -> list[str]:
    return run(folder, "lr=1e-5")


@CASES.case(
    "another name, in a recipe",
    error="unknown key 'max_seq_length' (in mine.yaml); did you mean 'cutoff_len'?",
    status=2,
)
def other_key_in_recipe(folder: Path) -> list[str]:
    return recipe(folder, "max_seq_length: 2048\n")


@CASES.case("a key like no other", error="unknown key 'zzz' (in mine.yaml); --help lists the keys", status=2)
def unknown_key(folder: Path) -> list[str]:
    return recipe(folder, "zzz: 1\n")


@CASES.case("a key that is no text", error="unknown key '1' (in mine.yaml); --help lists the keys", status=2)
def number_as_key(folder: Path) -> list[str]:
    return recipe(folder, "1: 2\n")


@CASES.case(
    "a flag",
    error=(
        "'--learning_rate': arguments are written key=value, without dashes: "
        "learning_rate=VALUE (--help lists them)"
    ),
    status=2,
)
def flag(folder: Path) -> list[str]:
    return [*run(folder), "--learning_rate", "1e-5"]


@CASES.case(
    "a flag with =",
    error=(
        "'--learning_rate=1e-5': arguments are written key=value, without dashes: "
        "learning_rate=1e-5 (--help lists them)"
    ),
    status=2,
)
def flag_with_value(folder: Path) -> list[str]:
    return [*run(folder), "--learning_rate=1e-5"]


@CASES.case(
    "a word that is no key=value",
    error=("'llama31_aya': arguments are written key=value, such as recipe=NAME (--help lists them)"),
    status=2,
)
def word(folder: Path) -> list[str]:
    return [*run(folder), "llama31_aya"]


@CASES.case("a key twice on the command line", error="seed= is there twice on the command line", status=2)
def argument_twice(folder: Path) -> list[str]:
    return [*run(folder), "seed=1", "seed=2"]


@CASES.case(
    "a value for a group of keys",
    error=(
        "lora (on the command line) is a group of keys: set lora.enabled, lora.r, lora.alpha,"
        " lora.dropout, lora.target_modules"
    ),
    status=2,
)
def group(folder: Path) -> list[str]:
    return [*run(folder), "lora=true"]


@CASES.case(
    "no model",
    error="model_name_or_path must be set: by a recipe (recipe=NAME) or on the command line",
    status=2,
)
def no_model(folder: Path) -> list[str]:
    return run(folder)[1:]


# --- Values -------------------------------------------------------------------------------------------------


@CASES.case("an empty value", error="learning_rate= (on the command line) has no value", status=2)
def empty_value(folder: Path) -> list[str]:
    return run(folder, "learning_rate=")


@CASES.case(
    "a number with a letter too many",
    error="learning_rate='1e-5x' (on the command line) must be float",
    status=2,
)
def no_number(folder: Path) -> list[str]:
    return run(folder, "learning_rate=1e-5x")


@CASES.case(
    "a fraction where a whole number belongs",
    error="max_steps=1.5 (on the command line) must be int | None",
    status=2,
)
def fraction(folder: Path) -> list[str]:
    return run(folder, "max_steps=1.5")


@CASES.case(
    "a learning rate that is no number",
    error="learning_rate (on the command line): nan is out of range: it must be above 0",
    status=2,
)
def nan(folder: Path) -> list[str]:
    return run(folder, "learning_rate=nan")


@CASES.case(
    "an infinite learning rate",
    error="learning_rate (in mine.yaml): inf is out of range: it must be above 0",
    status=2,
)
def infinite(folder: Path) -> list[str]:
    return recipe(folder, "learning_rate: .inf\n")


@CASES.case(
    "a negative learning rate",
    error="learning_rate (on the command line): -1e-05 is out of range: it must be above 0",
    status=2,
)
def negative(folder: Path) -> list[str]:
    return run(folder, "learning_rate=-1e-5")


@CASES.case(
    "a seed over 2**32",
    error=(
        "seed (on the command line): 4294967296 is out of range: it must be at least 0, at most 4294967295"
    ),
    status=2,
)
def seed(folder: Path) -> list[str]:
    return run(folder, "seed=4294967296")


@CASES.case(
    "a number of 10,000 digits",
    error=f"cutoff_len={ANY} (on the command line) is not a value; a list is written [a,b]",
    status=2,
)
def digits(folder: Path) -> list[str]:
    return run(folder, "cutoff_len=" + "9" * 10_000)


@CASES.case("a word for true", error="dry_run='maybe' (on the command line) must be bool", status=2)
def boolean(folder: Path) -> list[str]:
    return run(folder, "dry_run=maybe")


@CASES.case(
    "an option that is none",
    error=(
        f"lr_scheduler_type (on the command line): 'cosin' is not one of cosine | {ANY}; did you "
        "mean 'cosine'?"
    ),
    status=2,
)
def option(folder: Path) -> list[str]:
    return run(folder, "lr_scheduler_type=cosin")


@CASES.case(
    "a list where one value belongs", error="run_name=['a', 'b'] (in mine.yaml) must be str", status=2
)
def list_as_value(folder: Path) -> list[str]:
    return recipe(folder, "run_name: [a, b]\n")


@CASES.case(
    "keys where a list belongs",
    error="data={'train': 'rows.jsonl'} (in mine.yaml) must be list[str]",
    status=2,
)
def keys_as_list(folder: Path) -> list[str]:
    return [*recipe(folder, "data: {train: rows.jsonl}\n")[:1], "model_name_or_path=base"]


@CASES.case(
    "a list in a list",
    error="data (in mine.yaml) must be a list of texts, and holds ['rows.jsonl']",
    status=2,
)
def nested_list(folder: Path) -> list[str]:
    return [*recipe(folder, "data: [[rows.jsonl]]\n")[:1], "model_name_or_path=base"]


@CASES.case(
    "a list without its bracket",
    error="data=[rows.jsonl (on the command line) is not a value; a list is written [a,b]",
    status=2,
)
def open_list(folder: Path) -> list[str]:
    return run(folder, "data=[rows.jsonl")


@CASES.case(
    "no, which YAML takes for false",
    error="language=False (in mine.yaml) must be text: put quotes around it",
    status=2,
)
def norway(folder: Path) -> list[str]:
    return recipe(folder, "language: no\n")


@CASES.case(
    "a batch that the passes do not divide",
    error=(
        "total_batch_size=5 is not a multiple of the 2 rows of one pass "
        "(per_device_train_batch_size=2 on 1 processes): change one of the two, or set "
        "gradient_accumulation_steps"
    ),
)
def batch(folder: Path) -> list[str]:
    return run(folder, "total_batch_size=5", "per_device_train_batch_size=2")


@CASES.case(
    "a language that is none",
    error="language='Swahili' is no language code (BCP 47, such as de, sw or zh-Hans)",
)
def language(folder: Path) -> list[str]:
    return run(folder, "language=Swahili")


# --- Paths --------------------------------------------------------------------------------------------------


@CASES.case(
    "a run_name that leads out of outputs/",
    error=(
        "run_name (on the command line): run_name=../../elsewhere leads out of outputs/, "
        "where the run is written: set output_dir"
    ),
    status=2,
)
def run_name_outside(folder: Path) -> list[str]:
    return [*run(folder, "run_name=../../elsewhere", "output_dir=")]


@CASES.case(
    "a run_name that is a path from the root",
    error=(
        "run_name (on the command line): run_name=FOLDER/elsewhere leads out of outputs/, "
        "where the run is written: set output_dir"
    ),
    status=2,
)
def run_name_absolute(folder: Path) -> list[str]:
    return [*run(folder, f"run_name={folder}/elsewhere", "output_dir=")]


@CASES.case(
    "an output folder with a NUL in its name",
    error="output_dir='a\\x00b' (in mine.yaml) holds a NUL character",
    status=2,
)
def output_nul(folder: Path) -> list[str]:
    return [argument for argument in recipe(folder, 'output_dir: "a\\0b"\n') if argument != "output_dir=out"]


@CASES.case("a file as the output folder", error="output_dir=rows.jsonl cannot be written: File exists")
def output_file(folder: Path) -> list[str]:
    return run(folder, "output_dir=rows.jsonl")


@CASES.case(
    "the model's folder as the output folder",
    error="base is the model to train from and output_dir too, and would be overwritten",
)
def output_model(folder: Path) -> list[str]:
    return run(folder, "output_dir=base")


@CASES.case(
    "an output folder below a file", error="output_dir=rows.jsonl/out cannot be written: Not a directory"
)
def output_below_file(folder: Path) -> list[str]:
    return run(folder, "output_dir=rows.jsonl/out")


@CASES.case(
    "a checkpoint to resume that is none",
    error="resume (on the command line): 'latest' is not one of auto | never | PATH",
    status=2,
)
def resume(folder: Path) -> list[str]:
    return run(folder, "resume=latest")


@CASES.case(
    "a folder to resume from that is no checkpoint",
    error="resume=base: complete.json is missing, it was not written to its end",
)
def resume_folder(folder: Path) -> list[str]:
    (folder / "out").mkdir()  # where one run keeps others out while it looks for its checkpoint
    return run(folder, "resume=base")


@CASES.case(
    "a model that does not exist",
    error=(f"model_name_or_path=bas/e: there is no such folder, and as a hub name: {ANY}"),
)
def model(folder: Path) -> list[str]:
    return run(folder, "model_name_or_path=bas/e")


@CASES.case("an empty model name", error="model_name_or_path= (on the command line) has no value", status=2)
def model_empty(folder: Path) -> list[str]:
    return run(folder, "model_name_or_path=")

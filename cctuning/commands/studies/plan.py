"""The steps of a study: for each of its recipes the commands that train, fit and evaluate a model."""

from __future__ import annotations

import dataclasses
import itertools
import shlex
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from cctuning.analysis.study_files import SUMMARY_FILE
from cctuning.commands.registry import COMMANDS
from cctuning.commands.schemas import EvaluateRecipe, FitRecipe, StudyRecipe, TrainRecipe
from cctuning.evaluation.asking.sample_files import RESULTS_FILE
from cctuning.evaluation.benchmarks import find_benchmark
from cctuning.generation.modes import folder_name
from cctuning.pretrained.kinds import EXPORT_FOLDER
from cctuning.settings.assignments import RecipeError
from cctuning.settings.recipe import load_recipe
from cctuning.training.runs import ERRORS_FILE, FINISHED_FILE, FIT_REPORT_FILE
from cctuning.transform.fit import check_layers

MODEL = "MODEL"  # in the name of a recipe: one of the study's models
Kind = Literal["train", "fit", "evaluate", "probe"]
_SEED = "-seed"  # in the name of a run, before its seed
_OF_MEASURING = {"seed", "batch_size", "dtype", "use_cpu", "trust_remote_code"}  # settings of fit, too
_MARKS = {"train": FINISHED_FILE, "fit": FIT_REPORT_FILE, "evaluate": RESULTS_FILE, "probe": SUMMARY_FILE}

Schema = TypeVar("Schema")


@dataclass(frozen=True)
class Step:
    """One command of a study, and what it will have been told when it is done.

    Attributes:
        name: unique, such as "llama31_aya/train".
        kind: which script it runs.
        arguments: the script's, as they are typed.
        settings: all settings of the script, as resolved.
        output: the folder it writes.
        needs: names of the steps that come before it.
    """

    name: str
    kind: Kind
    arguments: tuple[str, ...]
    settings: dict[str, Any]
    output: Path
    needs: tuple[str, ...] = ()

    @property
    def mark(self) -> Path:
        """The file that is written last, so that it marks the step's result as complete."""
        measures = self.kind == "fit" and self.settings["benchmarks"]
        return self.output / (ERRORS_FILE if measures else _MARKS[self.kind])

    def anew(self) -> Step:
        """The same, beginning again where the script would go on with what is there."""
        if self.kind != "evaluate" or self.settings["resume"] == "never":
            return self
        return dataclasses.replace(self, arguments=(*self.arguments, "resume=never"))

    def shown(self, launcher: str) -> str:
        """The command as a user types it."""
        return f"{launcher} {shlex.join(self._words())}"

    def command(self, launcher: str) -> tuple[str, ...]:
        """The command as it is run: `python` is this interpreter."""
        first, *others = _words(launcher)
        return (sys.executable if first == "python" else first, *others, *self._words())

    def _words(self) -> tuple[str, ...]:
        return ("-m", "cctuning", self.kind, *self.arguments)


@dataclass(frozen=True)
class TableRow:
    """One row of the study's table: an evaluation, and the row that it is compared with (None: it is one).

    With `seeds` it is an evaluation for each of them, in their order, and so are the trainings of its models
    and the errors of their Transform Matrices, where those are measured.
    """

    title: str
    evaluations: tuple[Step, ...]
    baseline: str | None
    trainings: tuple[Step, ...] = ()
    matrix_errors: tuple[Step, ...] = ()


def make_plan(study: StudyRecipe) -> tuple[list[Step], list[TableRow]]:
    """All steps, in an order in which they can run, and the rows of the table.

    Of several seeds all recipes are run with the first one before any is with the second. Raises
    `RecipeError` for a recipe or setting that one of the steps would refuse.
    """
    steps: list[Step] = []
    rows: list[TableRow] = []
    for names in _recipes_by_model(study):
        runs: dict[str, _RecipeRuns] = {name: _RecipeRuns() for name in names}
        seeds: Sequence[int | None] = study.seeds or [None]
        for seed, name in itertools.product(seeds, names):
            steps += _recipe_steps(study, name, seed, runs[name])
        rows += _table_rows(study, runs.values())
    check_names(steps)
    return steps, rows


@dataclass
class _RecipeRuns:
    """The trainings of a recipe, one for each seed, and the rows' evaluations and errors by their titles."""

    is_plain: bool = False
    trainings: list[Step] = field(default_factory=list)
    evaluations: dict[str, list[Step]] = field(default_factory=dict)
    matrix_errors: dict[str, list[Step]] = field(default_factory=dict)


def _table_rows(study: StudyRecipe, recipes: Iterable[_RecipeRuns]) -> list[TableRow]:
    """Of one model. A row is compared with the model's first one, or as `baseline` says.

    That is the last row of a plain recipe before it, or the first one of its own recipe.
    """
    rows: list[TableRow] = []
    plain: str | None = None
    for runs in recipes:
        first = len(rows)
        for title, evaluations in runs.evaluations.items():
            baseline = rows[0].title if rows else None
            if study.baseline == "plain" and plain and not runs.is_plain:
                baseline = plain
            if study.baseline == "own":
                baseline = rows[first].title if len(rows) > first else None
            errors = tuple(runs.matrix_errors.get(title, ()))
            rows.append(TableRow(title, tuple(evaluations), baseline, tuple(runs.trainings), errors))
        plain = rows[first].title if runs.is_plain else plain
    return rows


def _recipes_by_model(study: StudyRecipe) -> Iterator[list[str]]:
    """The recipes' names, of one model after the other."""
    named = [name for name in study.recipes if MODEL in name]
    if not study.models:
        if named:
            raise RecipeError(f"recipes={named[0]} holds {MODEL}, and models= names none")
        yield study.recipes
        return
    if len(named) < len(study.recipes):
        other = next(name for name in study.recipes if name not in named)
        raise RecipeError(f"recipes={other} lacks {MODEL}, in whose place the names of models= are put")
    for model in study.models:
        yield [name.replace(MODEL, model) for name in study.recipes]


def _recipe_steps(study: StudyRecipe, name: str, seed: int | None, runs: _RecipeRuns) -> Iterator[Step]:
    """The steps of a recipe with one seed; what the table needs of them is added to `runs`."""
    train = _training(study, name, seed)
    yield train
    runs.trainings.append(train)
    runs.is_plain = not train.settings["connection"]["enabled"]
    errors: Step | None = None
    for title, evaluation, before in _evaluations(study, train, runs.is_plain):
        yield from [*before, evaluation]
        runs.evaluations.setdefault(title, []).append(evaluation)
        if study.matrix_errors and evaluation.settings["inference"] == "monolingual":
            if before:  # the first evaluation of a matrix
                errors = _measuring(study, before[-1], evaluation)
                yield errors
            if errors is not None:
                runs.matrix_errors.setdefault(title, []).append(errors)


def _training(study: StudyRecipe, name: str, seed: int | None) -> Step:
    """Of one of the study's seeds, in a folder that names it. None: the recipe's own."""
    arguments = [f"recipe={name}", *study.train]
    run = Path(study.runs) / load_step("train", arguments, TrainRecipe).run_name
    if seed is not None:
        if any(_key(setting) == "seed" for setting in study.train):
            raise RecipeError(
                "train= holds a seed, and seeds= names those of the trainings: keep one of them"
            )
        run = run.with_name(f"{run.name}{_SEED}{seed}")
    arguments = [f"recipe={name}", f"output_dir={run}", *study.train]
    arguments += [f"seed={seed}"] if seed is not None else []
    return _step(f"{run.name}/train", "train", arguments, TrainRecipe, run)


def _evaluations(study: StudyRecipe, train: Step, is_plain: bool) -> Iterator[tuple[str, Step, list[Step]]]:
    """Title, evaluation, and what else comes before it, for every way to ask a trained model."""
    title = train.output.name.rpartition(_SEED)[0] if study.seeds else train.output.name
    if is_plain:
        yield from _promptings(study, title, "none", train)
        return
    for inference in study.inference:
        named = f"{title}, {inference}" if len(study.inference) > 1 else title
        if inference != "monolingual":
            yield from _promptings(study, named, inference, train)
            continue
        for pairs in study.pairs:
            fit = _fit(study, train, pairs)
            several = f"{named}, {pairs:,} pairs" if len(study.pairs) > 1 else named
            yield from _promptings(study, several, inference, fit, fit)


def _promptings(
    study: StudyRecipe, title: str, inference: str, after: Step, *before: Step
) -> Iterator[tuple[str, Step, list[Step]]]:
    """The same for every prompting; `before` comes once, before the first."""
    for number, prompting in enumerate(study.prompting):
        named = f"{title}, {prompting}" if len(study.prompting) > 1 else title
        yield named, _evaluation(study, inference, prompting, after), [] if number else [*before]


def _fit(study: StudyRecipe, train: Step, pairs: int) -> Step:
    output = train.output / (EXPORT_FOLDER + ("" if pairs == FitRecipe().pairs else f"_{pairs}"))
    arguments = [f"model={train.output}", f"pairs={pairs}", f"output_dir={output}", *study.fit]
    fit = _step(f"{train.output.name}/fit_{pairs}", "fit", arguments, FitRecipe, output, train)
    connection = train.settings["connection"]
    try:
        check_layers(connection["pooling"], connection["layer"], fit.settings["layers"])
    except ValueError as error:
        raise RecipeError(f"cctuning fit {shlex.join(arguments)}: {error}") from error
    return fit


def _measuring(study: StudyRecipe, fit: Step, evaluation: Step) -> Step:
    """The measuring of a matrix on the prompts of the benchmarks that its model is asked."""
    output, evaluated = fit.output / "errors", evaluation.settings
    arguments = [f"model={fit.output}", f"benchmarks=[{','.join(evaluated['benchmarks'])}]"]
    arguments += [f"benchmark_data={evaluated['data']}", f"output_dir={output}"]
    arguments += [setting for setting in study.fit if _key(setting) in _OF_MEASURING]
    return _step(fit.name.replace("/fit_", "/errors_"), "fit", arguments, FitRecipe, output, fit)


def _evaluation(study: StudyRecipe, inference: str, prompting: str, after: Step) -> Step:
    """Of the model that `after` leaves. It is written where cctuning evaluate would write it by default."""
    arguments = [f"recipe={study.evaluation}", f"model={after.output}", f"inference={inference}"]
    settings_given = study.evaluate
    if prompting != "original":
        arguments.append(f"prompting={prompting}")
    if prompting == "cot":
        keys = {_key(setting) for setting in study.evaluate_cot}
        settings_given = [
            *(setting for setting in settings_given if _key(setting) not in keys),
            *study.evaluate_cot,
        ]
    named = load_step("evaluate", [*arguments, *settings_given], EvaluateRecipe)
    output = after.output / "evaluation" / folder_name(named.run_name, inference, named.prompting)
    arguments += [f"output_dir={output}", *settings_given]
    recipe = load_step("evaluate", arguments, EvaluateRecipe)
    for benchmark in recipe.benchmarks:
        find_benchmark(benchmark)  # known before the trainings, not behind them
    settings = dataclasses.asdict(recipe)
    run, _, fitted = after.name.partition("/")
    name = f"{run}/{inference}" + (f"_{fitted.removeprefix('fit_')}" if after.kind == "fit" else "")
    name += f"_{prompting}" if prompting != "original" else ""
    return Step(name, "evaluate", tuple(arguments), settings, output, (after.name,))


def _key(setting: str) -> str:
    return setting.partition("=")[0].strip()


def _step(
    name: str, kind: Kind, arguments: Sequence[str], schema: type[Any], output: Path, *needs: Step
) -> Step:
    """A step with its settings as resolved. Raises `RecipeError`, with its command."""
    settings = dataclasses.asdict(load_step(kind, arguments, schema))
    return Step(name, kind, tuple(arguments), settings, output, tuple(step.name for step in needs))


def load_step(kind: Kind, arguments: Sequence[str], schema: type[Schema]) -> Schema:
    """The recipe of a step. Raises `RecipeError`, with its command."""
    try:
        return load_recipe(arguments, schema, folder=COMMANDS[kind].recipes)
    except RecipeError as error:
        raise RecipeError(f"cctuning {kind} {shlex.join(arguments)}: {error}") from error


def _words(launcher: str) -> list[str]:
    """The words of a launcher. Raises `RecipeError` where there are none."""
    try:
        words = shlex.split(launcher)
    except ValueError as error:  # an open quote
        raise RecipeError(f"launch: {launcher!r} cannot be run: {error}") from error
    if not words:
        raise RecipeError(f"launch: {launcher!r} names no program")
    return words


def check_names(steps: Sequence[Step]) -> None:
    """Raises `RecipeError` where two steps have one name."""
    names = [step.name for step in steps]
    for name in names:
        if names.count(name) > 1:
            raise RecipeError(
                f"two steps would be {name}: a study names each recipe, model and way to ask once"
            )

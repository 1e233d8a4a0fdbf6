"""Probes a model with XTransplant: every layer into every layer, between prompts in two languages."""

import dataclasses
import functools
import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from cctuning.analysis.cells.grid import GridKey
from cctuning.analysis.measures.strategies import STRATEGIES, choose
from cctuning.analysis.probing.baselines import read_baselines
from cctuning.analysis.probing.control import control_tasks
from cctuning.analysis.probing.cost import cost_table
from cctuning.analysis.probing.folder import StudyFolder
from cctuning.analysis.probing.load_tasks import count_known_issues, read_probe_tasks
from cctuning.analysis.probing.prompting import ask_prompted, prompted_tasks
from cctuning.analysis.probing.right_answers import unscored_warning
from cctuning.analysis.probing.study import CONTROL, PILOT, UNSEEN, StrategyPairs, Study
from cctuning.analysis.probing.sweeping import Sweeping
from cctuning.analysis.probing.tasks import ProbeTask
from cctuning.analysis.transplant.interventions import REPLACE
from cctuning.commands.probe_findings import count, others_than_original, write_findings
from cctuning.commands.probe_question import probe_question
from cctuning.commands.prompts import choose_prompts, choose_rules, load_without_weights
from cctuning.commands.result import Result
from cctuning.commands.schemas import ProbeRecipe
from cctuning.connection.model import load_model
from cctuning.data.language_id import identify
from cctuning.data.prompts import PromptFormat
from cctuning.data.unknown_tokens import unknown_tokens_warning
from cctuning.distributed.engines import join_equals
from cctuning.distributed.sharing import Shard, from_the_first
from cctuning.evaluation.asking.preview import question_panel
from cctuning.evaluation.asking.responses import GenerationSettings
from cctuning.evaluation.asking.shots import Shots, draw_shots
from cctuning.evaluation.asking.tasks import Task, joined_options_warning
from cctuning.evaluation.benchmarks import find_benchmark
from cctuning.evaluation.comparison.evaluations import Evaluation
from cctuning.evaluation.items.selection import ItemSet, missing_warning, no_known_issues_warning
from cctuning.generation.modes import set_mode
from cctuning.generation.rules import greedy_rules
from cctuning.pretrained.identity import model_settings
from cctuning.pretrained.loading import positions_of
from cctuning.pretrained.names import beside_model, naming_model
from cctuning.reporting.settings_table import settings_table
from cctuning.settings.changes import ROUNDING
from cctuning.settings.recipe import save_recipe
from cctuning.tools.console import new_console
from cctuning.tools.extras import extra
from cctuning.tools.locks import only_run_in
from cctuning.tools.progress import progress_bar

console = new_console()


def probe_model(recipe: ProbeRecipe) -> Result:
    """Sweeps the questions, chooses pairs of layers, tries them, and writes what comes of it.

    One question of one's own is only swept (`probe_question`).
    Raises `ValueError` or `OSError` for a model, questions or settings that cannot be used.
    """
    state = join_equals("probe", use_cpu=recipe.use_cpu)
    shard = Shard(state.process_index, state.num_processes)
    console.quiet = not state.is_main_process
    if recipe.question is None:
        check_packages()
    elif state.num_processes > 1:
        raise ValueError(f"question= is asked by one process, and {state.num_processes} were started")
    tokenizer, config = load_without_weights(recipe.model, trust_remote_code=recipe.trust_remote_code)
    prompts = choose_prompts(tokenizer, recipe.template, recipe.template_arguments, warn=console.warn)
    rules = choose_rules(recipe.model, prompts, trust_remote_code=recipe.trust_remote_code, warn=console.warn)
    if recipe.question is not None:
        return probe_question(recipe, prompts, lambda: load(recipe, prompts).to(state.device))
    questions = read_questions(recipe, prompts, positions_of(config))
    if unknown := unknown_tokens_warning(tokenizer, questions.prompts()):
        console.warn(unknown)
    folder = StudyFolder(recipe.output_dir or beside_model(recipe.model, "probing", recipe.run_name))
    if recipe.dry_run:
        show(recipe, folder, questions, config.get_text_config().num_hidden_layers, tokenizer)
        return Result()
    with only_run_in(folder.path) if state.is_main_process else nullcontext():
        # The first one's: another machine's cache may know a hub name by another commit.
        settings = from_the_first(what_cells_depend_on(recipe, rules), shard, state.device)
        if state.is_main_process:
            folder.open(settings, resume=recipe.resume, warn=console.warn)
            save_recipe(recipe, folder.path / "recipe.yaml")
        state.wait_for_everyone()  # nobody goes on with what is being removed
        study = Study(
            folder,
            load(recipe, prompts).to(state.device),
            prompts,
            settings,
            recipe.sublayers,
            Sweeping(
                recipe.sublayers[0],
                cells=None,
                max_new_tokens=0 if recipe.log_likelihood else recipe.max_new_tokens,
                plain=recipe.plain_scores,
                options=recipe.option_scores,
                activations=recipe.activations,
                intervention=recipe.as_intervention(),
                also_targets=tuple(recipe.also_targets),
                log_likelihood=recipe.log_likelihood,
            ),
            recipe.rows,
            shard,
        )
        return Result(folder.path, probe(recipe, study, questions))


@dataclass(frozen=True)
class Questions:
    """What a study asks, and the evaluations that stand beside it."""

    pilot: Sequence[ProbeTask]
    unseen: Sequence[ProbeTask]
    prompted: Mapping[str, tuple[list[Task], GenerationSettings]]  # the unseen ones, by prompting
    baselines: Mapping[str, Evaluation]

    @property
    def tasks(self) -> list[Task]:
        """Those of pilot and unseen questions."""
        return [probe.task for probe in (*self.pilot, *self.unseen)]

    def prompts(self) -> dict[str, Iterator[list[int]]]:
        """The token ids of all prompts, by task."""
        return {task.name: task.prompts() for task in self.tasks}


def check_packages() -> None:
    """Raises `ImportError` for what the findings need and is not installed: before, not after, long work."""
    with extra("analysis"):
        importlib.import_module("plotly")
        importlib.import_module("sklearn")
    identify(["a"])


def read_questions(recipe: ProbeRecipe, prompts: PromptFormat, positions: int | None) -> Questions:
    """All that will be asked, checked before anything is, which takes long."""
    pilot = read_tasks(recipe, recipe.pilot, recipe.limit, prompts, positions)
    unseen = []
    if recipe.unseen is not None:
        unseen = read_tasks(recipe, recipe.unseen, recipe.unseen_limit, prompts, positions)
        check_same_sets(pilot, unseen)
    check_positions(recipe.positions, [*pilot, *unseen])
    if recipe.log_likelihood:
        check_options([*pilot, *unseen])
    prompted = tasks_by_prompting(recipe, unseen, prompts, positions)
    baselines = read_baselines(recipe.beside, unseen, taken=("original", "source", *STRATEGIES, *prompted))
    warn_of_known_issues(recipe, pilot, unseen)
    questions = Questions(pilot, unseen, prompted, baselines)
    if recipe.option_scores:
        for warning in (joined_options_warning(questions.tasks), unscored_warning(questions.tasks, prompts)):
            if warning:
                console.warn(warning)
    return questions


def read_tasks(
    recipe: ProbeRecipe, data: str, limit: int | None, prompts: PromptFormat, positions: int | None
) -> list[ProbeTask]:
    """The tasks of the pilot or of the unseen questions."""
    probes = read_probe_tasks(
        [find_benchmark(name) for name in recipe.benchmarks],
        data,
        prompts,
        direction=recipe.direction,
        centre=recipe.centre,
        languages=recipe.languages,
        limit=limit,
        leave_out_faults=recipe.leave_out_faults,
        leave_out=recipe.on_bad_prompt == "leave_out",
        positions=positions,
        new_tokens=recipe.max_new_tokens,
        draw=shots_drawn(recipe),
    )
    if warning := missing_warning([probe.item_set for probe in probes], recipe.languages, data):
        console.warn(warning)
    return probes


def shots_drawn(recipe: ProbeRecipe) -> Callable[[Sequence[ItemSet]], list[Shots]] | None:
    """What draws the shots of item sets; None where there are none."""
    if not recipe.shots:
        return None
    assert recipe.shots_data is not None
    return functools.partial(draw_shots, data=recipe.shots_data, count=recipe.shots, seed=recipe.shots_seed)


def check_same_sets(pilot: Sequence[ProbeTask], unseen: Sequence[ProbeTask]) -> None:
    """Raises `ValueError` for unseen questions in a language that has no pilot to choose pairs on."""
    known = {(probe.benchmark, probe.language) for probe in pilot}
    for probe in unseen:
        if (probe.benchmark, probe.language) not in known:
            raise ValueError(
                f"unseen= has {probe.task.benchmark.title} in {probe.language!r}, and pilot= has not, so no "
                "pair could be chosen for it: set languages=[...] to those of both"
            )


def check_positions(positions: int, probes: Sequence[ProbeTask]) -> None:
    """Raises `ValueError` for a prompt that has fewer tokens than there are positions to intervene at."""
    for probe in probes:
        for question in probe.task.questions:
            assert question.parallel is not None
            if (tokens := min(len(question.prompt.ids), len(question.parallel.ids))) < positions:
                raise ValueError(
                    f"positions={positions}: a prompt of {probe.task.benchmark.title}, {probe.language}, id "
                    f"{question.item.id!r}, has {tokens} tokens. Set positions={tokens} or fewer"
                )


def check_options(probes: Sequence[ProbeTask]) -> None:
    """Raises `ValueError` for a benchmark without options to find likely."""
    for probe in probes:
        if any(not question.option_ids for question in probe.task.questions):
            raise ValueError(
                f"log_likelihood=true: {probe.task.benchmark.title} has no options. Leave it out of "
                "benchmarks="
            )


def warn_of_known_issues(
    recipe: ProbeRecipe, pilot: Sequence[ProbeTask], unseen: Sequence[ProbeTask]
) -> None:
    """Says how many questions with known faults take part, or that none are known."""
    for key, probes in (("pilot", pilot), ("unseen", unseen)):
        data = str(getattr(recipe, key))
        if probes and (note := no_known_issues_warning(data, recipe.leave_out_faults)):
            console.warn(note)
        if faults := count_known_issues(probes, data):
            listed = ", ".join(f"{name} {number:,}" for name, number in faults.items())
            console.warn(
                f"{key} questions with known faults ({listed}) take part; leave_out_faults=true "
                "leaves them out"
            )


def what_cells_depend_on(recipe: ProbeRecipe, rules: dict[str, Any]) -> dict[str, Any]:
    """All that cells depend on beside the questions, be it by rounding: what a folder is compared in."""
    names = ("template", "dtype", "direction", "centre", "max_new_tokens", "option_scores", "plain_scores")
    settings = {name: getattr(recipe, name) for name in (*names, "activations", *sorted(ROUNDING["probe"]))}
    settings["template_arguments"] = dict(recipe.template_arguments)
    if (intervention := recipe.as_intervention()) != REPLACE:  # which folders of earlier versions do not name
        settings["intervention"] = dataclasses.asdict(intervention)
    if recipe.shots:
        settings |= {name: getattr(recipe, name) for name in ("shots", "shots_data", "shots_seed")}
    if recipe.log_likelihood:
        settings["log_likelihood"] = True
    if recipe.also_targets:
        settings["also_targets"] = list(recipe.also_targets)
    own = [benchmark for benchmark in map(find_benchmark, recipe.benchmarks) if benchmark.folder is not None]
    if own:  # of the others it never changes
        settings["scoring"] = {benchmark.name: benchmark.metrics[0].score.__name__ for benchmark in own}
    return model_settings(recipe.model) | settings | {"generation_rules": rules}


def load(recipe: ProbeRecipe, prompts: PromptFormat) -> Any:
    """The model without its connection, which stops where responses stop."""
    with naming_model("model", recipe.model):
        model = load_model(
            recipe.model, dtype=recipe.dtype, trust_remote_code=recipe.trust_remote_code
        ).eval()
    set_mode(model, "none")
    model.generation_config = greedy_rules(model, prompts)
    return model


def probe(recipe: ProbeRecipe, study: Study, questions: Questions) -> dict[str, Any]:
    """Sweeps the pilot, tries the pairs that it chose, and writes what comes of both.

    Returns the summary, on the first process.
    """
    pilot, unseen = questions.pilot, questions.unseen
    sublayers = ", ".join(study.sublayers)
    times = len(study.sublayers)
    with progress_bar(f"pilot questions, {sublayers}", times * count(pilot), console=console) as bar:
        study.sweep_grids(PILOT, pilot, bar.advance)
    controls = control_tasks(pilot, recipe.seed) if recipe.control and recipe.option_scores else []
    if controls:
        with progress_bar(f"their control, {sublayers}", times * count(controls), console=console) as bar:
            study.sweep_control(controls, bar.advance)
    pairs: dict[GridKey, StrategyPairs] = {}
    if unseen:
        pairs = chosen_pairs(study, pilot)
        with progress_bar(f"unseen questions, {sublayers}", times * count(unseen), console=console) as bar:
            if recipe.unseen_cells == "all":
                study.sweep_grids(UNSEEN, unseen, bar.advance)
            else:
                study.sweep_pairs(UNSEEN, unseen, pairs, bar.advance)
        ask_by_prompting(study, questions.prompted)
    if study.shard.rank != 0:
        return {}
    tasks = {PILOT: pilot, CONTROL: controls, UNSEEN: unseen}
    return write_findings(recipe, study, tasks, pairs, questions.baselines)


def chosen_pairs(study: Study, pilot: Sequence[ProbeTask]) -> dict[GridKey, StrategyPairs]:
    """The pairs of all strategies for each task; of several processes the first one reads the grids."""
    listed = []
    if study.shard.rank == 0:
        listed = [[*key, choose(grid)] for key, grid in study.grids(PILOT, pilot).items()]
    listed = from_the_first(listed, study.shard, study.model.device)
    return {tuple(key): {name: tuple(pair) for name, pair in pairs.items()} for *key, pairs in listed}


def tasks_by_prompting(
    recipe: ProbeRecipe, unseen: Sequence[ProbeTask], prompts: PromptFormat, positions: int | None
) -> dict[str, tuple[list[Task], GenerationSettings]]:
    """The unseen questions under the other promptings, and how those are asked."""
    by_prompting = {}
    for prompting in others_than_original(recipe) if unseen else ():
        new_tokens = recipe.cot_new_tokens if prompting == "cot" else recipe.max_new_tokens
        tasks = prompted_tasks(
            unseen,
            prompts,
            prompting,
            positions=positions,
            new_tokens=new_tokens,
            leave_out=recipe.on_bad_prompt == "leave_out",
        )
        how = GenerationSettings(new_tokens, recipe.batch_size, log_likelihood=False)
        by_prompting[prompting] = (tasks, how)
    return by_prompting


def ask_by_prompting(study: Study, prompted: Mapping[str, tuple[list[Task], GenerationSettings]]) -> None:
    """Asks the unseen questions under the other promptings."""
    for prompting, (tasks, how) in prompted.items():
        total = sum(len(task.questions) for task in tasks)
        with progress_bar(f"unseen questions, {prompting}", total, console=console) as bar:
            ask_prompted(
                study.model,
                study.prompts,
                tasks,
                study.folder.path / "prompting" / prompting,
                prompting,
                how,
                study.settings,
                shard=study.shard,
                progress=bar.advance,
            )


def show(recipe: ProbeRecipe, folder: StudyFolder, questions: Questions, layers: int, tokenizer: Any) -> None:
    """Prints what a study would ask and what that costs, without asking it."""
    console.print(
        cost_table(
            questions.pilot,
            layers,
            0 if recipe.log_likelihood else recipe.max_new_tokens,
            len(recipe.sublayers),
            positions=recipe.positions,
            options=recipe.option_scores,
        )
    )
    console.print(settings_table(recipe, output_dir=str(folder.path)))
    if questions.unseen:
        console.print(f"Chosen pairs would be tried on {count(questions.unseen):,} unseen questions.")
    heading = "source, where activations come from:"
    console.print(question_panel(questions.pilot[0].task, tokenizer, parallel=heading))
    console.print("Nothing was asked.")

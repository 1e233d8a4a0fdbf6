"""The commands: what each is for, which settings it takes, and which function carries it out.

Nothing here imports torch: a function's module is imported when the function is needed.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cctuning.commands import schemas
from cctuning.commands.result import Result
from cctuning.commands.run import quiet_imports
from cctuning.settings.recipe_files import RECIPES

_GO_ON = "stopped: the same command goes on from here"


@dataclass(frozen=True)
class Command:
    """One command.

    Attributes:
        name: what is typed behind `cctuning`.
        summary: one line of help.
        examples: commands as they are typed, with what each does where that is not obvious.
        schema: the dataclass of its settings.
        module: where its function is, in this package; the function has the module's name.
        folder: the folder of its recipes, in `recipes/`.
        stopped: what is said when Ctrl-C or a signal ends it.
    """

    name: str
    summary: str
    examples: tuple[str, ...]
    schema: type[Any]
    module: str
    folder: str = ""
    stopped: str = "stopped"

    @property
    def recipes(self) -> Path:
        """The folder of its recipes."""
        return RECIPES / self.folder

    def function(self) -> Callable[[Any], Result]:
        """The function behind it: a recipe in, a result out. Imports torch and what else it needs."""
        quiet_imports()
        module = importlib.import_module(f"cctuning.commands.{self.module}")
        function: Callable[[Any], Result] = getattr(module, self.module)
        return function


COMMANDS = {
    command.name: command
    for command in (
        Command(
            "train",
            "Fine-tune a model with the cross-lingual connection, or without it (ML-SFT)",
            (
                "cctuning train model_name_or_path=Qwen/Qwen2.5-0.5B data=[rows.jsonl] dry_run=true",
                "accelerate launch -m cctuning train recipe=llama31_aya",
            ),
            schemas.TrainRecipe,
            "train_model",
            stopped="stopped; with resume=auto the same command goes on from the newest checkpoint, if any",
        ),
        Command(
            "fit",
            "Fit the Transform Matrix of a run and export a model that needs one language only",
            (
                "cctuning fit                                  (the newest finished run under outputs/)",
                "cctuning fit model=outputs/llama31_aya pairs=2000",
                "accelerate launch --num_processes 8 -m cctuning fit model=outputs/llama31_aya",
            ),
            schemas.FitRecipe,
            "fit_matrix",
            folder="fit",
        ),
        Command(
            "evaluate",
            "Evaluate a model on multilingual benchmarks: responses, scores with intervals, tables",
            (
                "cctuning evaluate recipe=xnli model=outputs/llama31_aya/monolingual",
                "cctuning evaluate recipe=paper model=outputs/llama31_aya inference=bilingual limit=100",
                "accelerate launch --num_processes 8 -m cctuning evaluate recipe=paper model=outputs/aya",
            ),
            schemas.EvaluateRecipe,
            "evaluate_model",
            folder="evaluation",
            stopped=_GO_ON,
        ),
        Command(
            "compare",
            "Compare evaluations on the same questions: differences, intervals, tests",
            (
                "cctuning compare results=[outputs/a/evaluation/paper-none,outputs/b/evaluation/paper-none]",
                "cctuning compare results=[DIR_A,DIR_B] names=[ML-SFT,bilingual] output_dir=outputs/mine",
                "cctuning compare results=[outputs/a/probing/xnli,outputs/b/probing/xnli]    (studies)",
            ),
            schemas.CompareRecipe,
            "compare_results",
            folder="comparison",
        ),
        Command(
            "probe",
            "Probe a model with XTransplant: every source layer into every target layer",
            (
                "cctuning probe recipe=xtransplant_xnli model=meta-llama/Llama-2-7b-chat-hf",
                "cctuning probe recipe=xtransplant_xnli model=outputs/mine sublayers=[ffn,attention]",
                'cctuning probe model=outputs/mine question="..." english="..." answer="..."',
                "accelerate launch --num_processes 8 -m cctuning probe recipe=xtransplant_xnli model=DIR",
            ),
            schemas.ProbeRecipe,
            "probe_model",
            folder="probing",
            stopped=_GO_ON,
        ),
        Command(
            "study",
            "Train, fit and evaluate a list of models, or probe them, and put their results side by side",
            (
                "cctuning study recipe=table1 models=llama31 dry_run=true      (the steps, which are done)",
                "cctuning study recipe=table1 models=llama31",
                "cctuning study recipe=ablation_pooling evaluate=[limit=100]",
                "cctuning study recipe=xtransplant models=outputs/llama31_aya_sft",
            ),
            schemas.StudyRecipe,
            "run_study",
            folder="studies",
            stopped="stopped; the same command goes on with what is not done",
        ),
        Command(
            "visualize",
            "Draw representations of parallel sentences, chosen layers, losses of several runs",
            (
                "cctuning visualize models.sft=outputs/sft models.cctuning=outputs/cc data=[rows.jsonl]",
                "cctuning visualize results=[outputs/cc/monolingual/evaluation/paper-monolingual]",
                "cctuning visualize runs=[outputs/sft,outputs/cc] output_dir=outputs/figures",
            ),
            schemas.VisualizeRecipe,
            "visualize_models",
            folder="visualize",
        ),
        Command(
            "serve",
            "Serve a model over HTTP (OpenAI's chat API): on vLLM where it is installed",
            (
                "cctuning serve model=outputs/tiny/monolingual",
                "cctuning serve model=DIR engine=vllm vllm_arguments=[--max-model-len=4096]",
                "cctuning chat server=http://127.0.0.1:8000              (asks it)",
            ),
            schemas.ServeRecipe,
            "serve_model",
            folder="serve",
        ),
        Command(
            "chat",
            "Talk to a model: a run, an exported model, any other, or one that is served",
            (
                "cctuning chat model=outputs/tiny/monolingual",
                'cctuning chat model=outputs/tiny question="..." english="..."',
                'cctuning chat server=http://127.0.0.1:8000 system="Answer briefly." temperature=0.7',
            ),
            schemas.ChatRecipe,
            "chat_with_model",
            folder="chat",
        ),
    )
}

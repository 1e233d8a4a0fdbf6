"""Folders as train.py, PEFT and the export leave them, to be broken by the cases."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file

from cctuning import CCTuningModel, ConnectionConfig
from cctuning.commands.schemas import TrainRecipe
from cctuning.export import export_monolingual
from cctuning.settings.recipe import save_recipe
from cctuning.training.runs import FINISHED_FILE, RECIPE_FILE
from tests.scripts import write_base, write_rows
from tests.tiny import tiny_llama, tiny_tokenizer

WEIGHTS = "model.safetensors"
FIT = ["model=run", "use_cpu=true", "pairs=10"]  # arguments of fit_transform.py


def asked(model: str = "base") -> list[str]:
    """Arguments of chat.py."""
    return [f"model={model}", "question=Capital of Kenya?", "use_cpu=true"]


def trained(folder: Path, *more: str) -> list[str]:
    """Arguments of train.py, with good rows."""
    write_rows(folder / "rows.jsonl")
    run = ["model_name_or_path=base", "data=rows.jsonl", "output_dir=out", "use_cpu=true", "bf16=false"]
    return [*run, "max_steps=1", *more]


def base(folder: Path) -> Path:
    """A plain model, `base`."""
    return write_base(folder / "base")


def run(folder: Path, **recipe: Any) -> Path:
    """A finished CC-Tuning run, `run`, as train.py writes it."""
    path = folder / "run"
    tokenizer = tiny_tokenizer()
    torch.manual_seed(0)
    model = CCTuningModel.wrap(tiny_llama(len(tokenizer)), ConnectionConfig())
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    write_rows(folder / "rows.jsonl", 60)
    save_recipe(TrainRecipe("base", ["rows.jsonl"], run_name="mine", **recipe), path / RECIPE_FILE)
    (path / FINISHED_FILE).write_text('{"steps": 3}')
    return path


def exported(folder: Path) -> Path:
    """A monolingual model, `exported`."""
    tokenizer = tiny_tokenizer()
    torch.manual_seed(0)
    model = CCTuningModel.wrap(tiny_llama(len(tokenizer)))
    return export_monolingual(model, tokenizer, torch.randn(32, 32), folder / "exported")


def adapter(folder: Path) -> Path:
    """A LoRA adapter for `base`, `adapter`."""
    base(folder)
    tokenizer = tiny_tokenizer()
    model: Any = tiny_llama(len(tokenizer))
    model = get_peft_model(model, LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM"))
    model.peft_config["default"].base_model_name_or_path = "base"
    model.save_pretrained(folder / "adapter")
    tokenizer.save_pretrained(folder / "adapter")
    return folder / "adapter"


def edit(path: Path, **changes: Any) -> None:
    """Changes entries of a JSON object's file."""
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes), encoding="utf-8")


def rewrite(path: Path, change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> None:
    """Changes the tensors of a safetensors file."""
    save_file(change(load_file(path)), path, metadata={"format": "pt"})


def halve(path: Path) -> None:
    """Cuts a file in the middle."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


class Trap:
    """Makes the folder `sprung` where it is unpickled."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("sprung",)


def pickled(path: Path) -> None:
    """A pickle that makes the folder `sprung` where it is read without limits."""
    torch.save({"model.norm.weight": Trap()}, path)  # noqa: TID251


def code(path: Path) -> None:
    """A Python file that makes the folder `sprung` where it is imported, and holds the class `Evil`."""
    path.write_text("import os\n\nos.mkdir('sprung')\n\n\nclass Evil:\n    pass\n", encoding="utf-8")

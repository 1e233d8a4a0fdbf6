"""Model cards: what a folder holds, how it was made and how to use it, written from the recipe."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCardData

from cctuning.data.sources import hub_data_set
from cctuning.pretrained.hub import may_be_on_hub
from cctuning.pretrained.licences import licence_of
from cctuning.reporting.documents import in_markdown
from cctuning.reporting.tables import RecordTable

_PAPER = "[CC-Tuning](https://arxiv.org/abs/2506.00875) (Ye et al., ACL 2025)"


def _front_matter(recipe: Mapping[str, Any], languages: list[str]) -> str:
    """The metadata, of which the hub takes names on the hub and languages of ISO 639 alone."""
    base = recipe["model_name_or_path"]
    names = [*recipe["data"], *(recipe.get("english") or ())]
    codes = [language for language in languages if language != "und"]
    licence: dict[str, Any] = licence_of(base, revision=recipe.get("model_revision"))
    data = ModelCardData(
        library_name="transformers",
        base_model=base if may_be_on_hub(base) else None,
        datasets=list(dict.fromkeys(filter(None, map(hub_data_set, names)))) or None,
        language=list(dict.fromkeys(code.partition("-")[0] for code in codes)) or None,
        language_bcp47=[code for code in codes if "-" in code] or None,
        tags=["cctuning"],
        pipeline_tag="text-generation",
        **licence,
    )
    return f"---\n{data.to_yaml()}\n---"


def _made_of(recipe: Mapping[str, Any]) -> str:
    """The base model and the sources of the rows; of files and folders the last name alone."""
    base = recipe["model_name_or_path"]
    names = [base if may_be_on_hub(base) else Path(base).name]
    names += [name if hub_data_set(name) else Path(name).name for name in recipe["data"]]
    model, *data = map(in_markdown, names)
    return f"Base model: {model}. Data: {', '.join(data)}."


def _settings(recipe: Mapping[str, Any]) -> str:
    shown = (
        "learning_rate",
        "num_train_epochs",
        "max_steps",
        "total_batch_size",
        "lr_scheduler_type",
        "warmup_ratio",
    )
    rows = [
        (name, recipe[name])
        for name in (*shown, "cutoff_len", "neftune_noise_alpha", "bf16", "seed")
        if recipe.get(name) is not None
    ]
    connection, lora = recipe["connection"], recipe["lora"]
    if connection["enabled"]:
        names: tuple[str, ...] = (
            "pooling",
            "layer",
            "sublayer",
            "temperature",
            "embedding",
            "english_gradient",
        )
        rows += [(f"connection.{name}", connection[name]) for name in names if connection[name] is not None]
        # Those of later versions, where they were used.
        options = ["centred", "scale", "gate", "decision_maker_norm", "target_layer"]
        options += ["monolingual_share", "alignment"]
        rows += [
            (f"connection.{name}", connection[name])
            for name in options
            if connection.get(name) not in (None, False, "none", 0)
        ]
    if lora["enabled"]:
        names = ("r", "alpha", "dropout", *(name for name in ("use_dora", "use_rslora") if lora.get(name)))
        rows += [(f"lora.{name}", lora[name]) for name in names]
    return RecordTable(["setting", "value"], rows).markdown()


def _languages(languages: list[str]) -> str:
    return f"{len(languages)} language{'s' * (len(languages) != 1)} ({in_markdown(', '.join(languages))})"


def training_card(recipe: Mapping[str, Any], *, languages: list[str], rows: int, loss: float | None) -> str:
    """The card of a fine-tuned model. `recipe` as resolved, `loss` in nats per label token if known."""
    connected = recipe["connection"]["enabled"]
    target = recipe["connection"].get("target_layer")
    place = f"that of layer {target} (from 0)" if target else "the first layer's"
    averaged = recipe["connection"]["pooling"] == "mean"
    source = "the mean of all layers'" if averaged else "one layer's"
    method = (
        f"Fine-tuned with {_PAPER}: while the model reads a prompt, {source} "
        f"{recipe['connection']['sublayer']} output from the parallel English prompt is added to {place}."
        if connected
        else "Fine-tuned on multilingual rows without a cross-lingual connection (ML-SFT)."
    )
    use = (
        "`AutoModelForCausalLM.from_pretrained` loads the plain model, without the connection; "
        "`cctuning.CCTuningModel.load` loads it with. `cctuning fit model=DIR` makes a model "
        "from it that is connected and needs no English prompt."
        if connected
        else "`AutoModelForCausalLM.from_pretrained` loads it."
    )
    if recipe["lora"].get("use_dora"):  # it would leave the sizes of the columns out
        use = use.replace("AutoModelForCausalLM", "PeftModel")
    final = "" if loss is None else f"; final loss {loss:.3f} nats per token"
    return f"""{_front_matter(recipe, languages)}

# {in_markdown(recipe["run_name"])}

{method}

{_made_of(recipe)} {rows:,} rows in {_languages(languages)}{final}.

{use} The chat template that it was trained with is saved with the tokenizer.

{_settings(recipe)}

`recipe.yaml` holds every setting, `metrics.jsonl` the course of the training.
"""


def export_card(recipe: Mapping[str, Any], *, languages: list[str], report: Mapping[str, Any]) -> str:
    """The card of an exported model. `report` is `transform_report.json`: its plain numbers are listed."""
    numbers = [(name, f"{value:.4g}") for name, value in report.items() if isinstance(value, int | float)]
    fit = RecordTable(["fit", ""], numbers).markdown()
    each = report.get("settings", {}).get("layers") == "each"
    matrix = "a Transform Matrix of its own for each layer," if each else "a Transform Matrix"
    return f"""{_front_matter(recipe, languages)}

# {in_markdown(recipe["run_name"])}, monolingual

Fine-tuned with {_PAPER}. The English prompt that the connection needs in training is replaced by the model's
own outputs times {matrix} fitted by least squares, so prompts are in one language only.

{_made_of(recipe)}

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained(DIR, trust_remote_code=True)
tokenizer = AutoTokenizer.from_pretrained(DIR)
prompt = tokenizer.apply_chat_template(
    [{{"role": "user", "content": "..."}}], add_generation_prompt=True, return_tensors="pt", return_dict=True
)
print(tokenizer.decode(model.generate(**prompt, max_new_tokens=64)[0]))
```

`trust_remote_code=True` runs `modeling_cctuning.py` of this folder; without it the same weights load as
the plain model, not connected. Under `generate` the connection is at the prompt's last token; in a bare
forward it is at the end of the last response marker, the tokens that `add_generation_prompt=True` adds.

{fit}

{_settings(recipe)}
"""

"""The examples of a training run: rows read and encoded as its recipe says, at once or as a stream."""

import dataclasses
from pathlib import Path
from typing import Any

from cctuning.commands.schemas import TrainRecipe
from cctuning.commands.train_setup import base_config
from cctuning.data.encoding import Example, check_vocabulary, encode
from cctuning.data.prompts import PromptFormat
from cctuning.data.rows import (
    BadRowsError,
    Problem,
    Row,
    held_out_rows,
    read_rows,
    sample_rows,
    stream_rows,
    write_rejects,
)
from cctuning.data.turns import rows_of_turns
from cctuning.distributed.engines import current_engine
from cctuning.distributed.rank import process_number
from cctuning.settings.changes import rows_of_a_step
from cctuning.training.streaming import StreamedExamples

REJECTS_FILE = "rejects.jsonl"


def load_examples(
    recipe: TrainRecipe, prompts: PromptFormat
) -> tuple[list[Example], list[Example], list[Problem]]:
    """The rows to train on and those to measure the loss on, tokenised, and the bad ones.

    Bad rows stop the run unless they are to be skipped.
    """
    rows, problems = read_rows(
        recipe.data,
        split=recipe.data_split,
        parallels=recipe.english,
        first=recipe.buffer_size if recipe.streaming else None,
        **reading_options(recipe),
    )
    rows = sample_rows(rows, recipe.max_rows, seed=recipe.seed)
    if rows and not any(row.output for row in rows):
        raise ValueError(
            f"no row of {', '.join(recipe.data)} has a response, and connection.alignment alone teaches no "
            "answers: add rows with one, or name its column with columns.output=NAME"
        )
    rows, held_out = held_out_rows(rows, recipe.eval_share, seed=recipe.seed)
    if recipe.eval_data:
        held_out, more = read_rows(
            recipe.eval_data,
            split=recipe.eval_split,
            parallels=recipe.english,
            **{**reading_options(recipe), "response": True},  # to measure the loss of
        )
        problems = [*problems, *more]
    encoded = []
    for part in (rows, held_out):
        part_examples, cut = encode_rows(part, recipe, prompts)
        encoded.append(part_examples)
        problems = [*problems, *cut]
    examples, held_out_examples = encoded
    if problems and recipe.on_bad_row == "error" and not recipe.dry_run:
        raise BadRowsError(problems)
    if not examples:
        first = f"; the first problem: {problems[0]}" if problems else ""
        raise ValueError(f"nothing is left to learn in {', '.join(recipe.data)}{first}")
    check_parallels(recipe, examples)
    if recipe.evaluates != "no" and not held_out_examples:
        raise ValueError(f"nothing is left to evaluate on in {', '.join(recipe.eval_data or recipe.data)}")
    return examples, held_out_examples, problems


def check_parallels(recipe: TrainRecipe, examples: list[Example]) -> None:
    """Raises `ValueError` where an option that compares English prompts has no two of them to compare."""
    options = recipe.connection
    if not options.enabled:
        return
    of_pairs = {tuple(example.english_input_ids) for example in examples if example.has_two_prompts}
    for option in ("alignment", "monolingual_share"):
        if getattr(options, option) and len(of_pairs) < 2:
            raise ValueError(
                f"connection.{option} needs rows in other languages than English, with two different English "
                f"prompts at least: {', '.join(recipe.data)} has {len(of_pairs)}"
            )
    if options.centred and len({tuple(example.english_input_ids) for example in examples}) < 2:
        raise ValueError(
            "connection.centred takes away what all English prompts share, and leaves nothing of a single "
            f"one: {', '.join(recipe.data)} has no two that differ"
        )


def reading_options(recipe: TrainRecipe) -> dict[str, Any]:
    """How the recipe says to read rows, whatever their sources."""
    return {
        "columns": dataclasses.asdict(recipe.columns),
        "language": recipe.language,
        "english": recipe.connection.enabled,
        "response": not (recipe.connection.enabled and recipe.connection.alignment),
        "conversations": True,
        "on_bad_row": "skip",
    }


def encode_rows(
    rows: list[Row], recipe: TrainRecipe, prompts: PromptFormat
) -> tuple[list[Example], list[Problem]]:
    """The examples of rows, and the rows that cannot be trained on."""
    return encode(
        rows_of_turns(rows) if recipe.connection.turns == "all" else rows,
        prompts,
        cutoff_len=recipe.cutoff_len,
        english_cutoff_len=recipe.english_cutoff_len,
        mask_history=recipe.mask_history,
    )


def stream_examples(recipe: TrainRecipe, prompts: PromptFormat, first: list[Example]) -> StreamedExamples:
    """The examples of a training whose rows are read as it comes to them; `first` are those of a block."""
    vocabulary = base_config(recipe).get_text_config().vocab_size
    how = {name: value for name, value in reading_options(recipe).items() if name != "on_bad_row"}

    def encode_block(rows: list[Row]) -> tuple[list[Example], list[Problem]]:
        examples, problems = encode_rows(rows, recipe, prompts)
        if examples:
            check_vocabulary(
                examples, prompts.tokenizer, pad_token_id=prompts.pad_token_id, vocab_size=vocabulary
            )
        return examples, problems

    def reject(problems: list[Problem]) -> None:
        if recipe.on_bad_row == "error":
            raise BadRowsError(problems)
        if process_number() == 0:
            write_rejects(problems, Path(recipe.output_dir) / REJECTS_FILE, append=True)

    return StreamedExamples(
        lambda: stream_rows(recipe.data, split=recipe.data_split, unique=recipe.buffer_size, **how),
        encode_block,
        first=first,
        length=(recipe.max_steps or 0) * rows_of_step(recipe),
        buffer_size=recipe.buffer_size,
        seed=recipe.seed,
        reject=reject,
    )


def rows_of_step(recipe: TrainRecipe) -> int:
    """Rows of an optimizer step, over all processes."""
    return int(rows_of_a_step(dataclasses.asdict(recipe), current_engine().processes) or 0)

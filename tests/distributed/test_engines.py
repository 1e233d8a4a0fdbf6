"""The engine that a launcher asked for and the one that runs."""

import json

import pytest

from cctuning.distributed.engines import Engine, LaunchError, current_engine


@pytest.mark.parametrize(
    ("variables", "engine"),
    [
        ({}, Engine("one")),
        ({"WORLD_SIZE": 1, "LOCAL_RANK": 0}, Engine("one")),
        ({"WORLD_SIZE": 4}, Engine("ddp", 4)),
        ({"OMPI_COMM_WORLD_SIZE": 3}, Engine("ddp", 3)),
        ({"WORLD_SIZE": 8, "ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": 2}, Engine("fsdp2", 8)),
        (
            {
                "WORLD_SIZE": 2,
                "ACCELERATE_USE_FSDP": "true",
                "FSDP_VERSION": 2,
                "FSDP_OFFLOAD_PARAMS": "true",
            },
            Engine("fsdp2", 2, offload=True),
        ),
        (
            {"WORLD_SIZE": 8, "ACCELERATE_USE_DEEPSPEED": "true", "ACCELERATE_DEEPSPEED_ZERO_STAGE": 2},
            Engine("zero2", 8),
        ),
        (
            {
                "WORLD_SIZE": 8,
                "ACCELERATE_USE_DEEPSPEED": "true",
                "ACCELERATE_DEEPSPEED_ZERO_STAGE": 3,
                "ACCELERATE_DEEPSPEED_OFFLOAD_OPTIMIZER_DEVICE": "cpu",
            },
            Engine("zero3", 8, offload=True),
        ),
    ],
)
def test_the_engine_is_read_from_what_the_launcher_has_set(launched, variables, engine):
    launched(**variables)
    assert current_engine() == engine


def test_a_deepspeed_file_is_read_too(launched, tmp_path):
    path = tmp_path / "zero.json"
    path.write_text(json.dumps({"zero_optimization": {"stage": 3, "offload_param": {"device": "cpu"}}}))
    launched(WORLD_SIZE=2, ACCELERATE_USE_DEEPSPEED="true", ACCELERATE_DEEPSPEED_CONFIG_FILE=path)
    assert current_engine() == Engine("zero3", 2, offload=True)


def test_a_stage_that_shards_nothing_of_ours_is_refused(launched):
    launched(WORLD_SIZE=2, ACCELERATE_USE_DEEPSPEED="true", ACCELERATE_DEEPSPEED_ZERO_STAGE=1)
    with pytest.raises(LaunchError, match="stage 1 is not supported: set zero_stage to 2 or 3"):
        current_engine()

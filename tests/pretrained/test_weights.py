"""Files of weights that would load as another model than they hold."""

import json

import pytest
import torch
from safetensors.torch import save_file

from cctuning.pretrained.weights import WeightsError, check_floating, check_folder, read_tensors


def test_a_tensor_in_two_shards_is_refused(tmp_path):
    one, two = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
    save_file({"a.weight": torch.zeros(2), "b.weight": torch.zeros(2)}, tmp_path / one)
    save_file({"b.weight": torch.ones(2), "c.weight": torch.ones(2)}, tmp_path / two)
    index = {"weight_map": {"a.weight": one, "b.weight": two, "c.weight": two}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(WeightsError, match=rf"b\.weight.*{one}.*{two}"):
        check_folder(tmp_path)
    save_file({"c.weight": torch.ones(2), "b.weight": torch.ones(2)}, tmp_path / two)
    save_file({"a.weight": torch.zeros(2)}, tmp_path / one)
    check_folder(tmp_path)


@pytest.mark.parametrize("kind", [torch.int64, torch.int8, torch.uint8, torch.bool])
def test_weights_of_whole_numbers_are_refused(tmp_path, kind):
    file = tmp_path / "model.safetensors"
    save_file({"bias_mask": torch.ones(2, dtype=torch.bool), "a.weight": torch.ones(2, dtype=kind)}, file)
    for place in (tmp_path, file):
        with pytest.raises(WeightsError, match=r"a\.weight.*model\.safetensors.*whole numbers"):
            check_floating(place)
    with pytest.raises(WeightsError, match="whole numbers"):
        read_tensors(file)
    save_file({"bias_mask": torch.ones(2, dtype=torch.bool), "a.weight": torch.ones(2).bfloat16()}, file)
    check_floating(tmp_path)

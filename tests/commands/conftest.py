import pytest
import torch

from cctuning import CCTuningModel
from cctuning.export import export_monolingual
from tests.scripts import write_base
from tests.tiny import tiny_llama, tiny_tokenizer


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A plain base model, a run, and the model exported from it, with loud connections."""
    folder, tokenizer = tmp_path_factory.mktemp("models"), tiny_tokenizer()
    torch.manual_seed(0)
    run = CCTuningModel.wrap(tiny_llama(len(tokenizer), initializer_range=0.3))
    run.save_pretrained(folder / "run")
    tokenizer.save_pretrained(folder / "run")
    export_monolingual(run, tokenizer, torch.randn(32, 32), folder / "exported")
    return {"plain": write_base(folder / "plain"), "run": folder / "run", "exported": folder / "exported"}

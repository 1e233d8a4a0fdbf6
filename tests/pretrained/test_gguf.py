"""GGUF files: the model that is loaded is the one that was written, and it can be saved and told apart."""

import json

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.convert_slow_tokenizer import bytes_to_unicode

from cctuning.preparation import model as script
from cctuning.pretrained.identity import identity_of
from cctuning.pretrained.kinds import ModelError
from cctuning.pretrained.loading import load_causal_lm, load_config, load_tokenizer
from cctuning.pretrained.names import naming_model
from tests.models import build
from tests.releases import reads_gguf_merges

gguf = pytest.importorskip("gguf")

TEMPLATE = "{% for message in messages %}{{ message['content'] }}<|end|>{% endfor %}"
NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}


def permuted(weights, heads):
    """Queries and keys as llama.cpp rotates them: the halves of a head interleaved."""
    rows, columns = weights.shape
    return weights.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


@pytest.fixture(scope="module")
def model():
    return build("llama", dtype=torch.float32, vocab_size=259)


@pytest.fixture(scope="module")
def file(tmp_path_factory, model):
    """`model` and a tokenizer of single bytes, written as llama.cpp's converter lays them out."""
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    config = model.config
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list([*bytes_to_unicode().values(), "<|end|>", "<|pad|>", "ab"])
    writer.add_token_types([1] * 256 + [3, 3, 1])
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(256)
    writer.add_eos_token_id(256)
    writer.add_pad_token_id(257)
    writer.add_chat_template(TEMPLATE)
    outside = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
    for name, tensor in model.state_dict().items():
        weights, place = tensor.numpy(), name.removesuffix(".weight")
        if place in outside:
            writer.add_tensor(f"{outside[place]}.weight", weights)
            continue
        _, _, layer, part = place.split(".", 3)
        if part == "self_attn.q_proj":
            weights = permuted(weights, config.num_attention_heads)
        elif part == "self_attn.k_proj":
            weights = permuted(weights, config.num_key_value_heads)
        writer.add_tensor(f"blk.{layer}.{NAMES[part]}.weight", weights.copy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def logits(model):
    with torch.no_grad():
        return model(torch.tensor([[5, 60, 200, 33]])).logits


def test_it_is_the_model_that_was_written_and_can_be_saved(file, model, tmp_path):
    asked = {"dtype": torch.float32, "attn_implementation": "eager"}
    loaded = load_causal_lm(file, **asked)
    assert loaded.config._attn_implementation == "eager"
    assert torch.allclose(logits(loaded), logits(model), atol=1e-5)
    loaded.save_pretrained(tmp_path / "again")
    assert torch.equal(logits(load_causal_lm(tmp_path / "again", **asked)), logits(loaded))
    assert load_config(file).num_hidden_layers == model.config.num_hidden_layers


@reads_gguf_merges
def test_its_tokenizer_has_the_special_tokens_and_the_template(file):
    tokenizer = load_tokenizer(file)
    assert (tokenizer.eos_token, tokenizer.eos_token_id, tokenizer.pad_token_id) == ("<|end|>", 256, 257)
    assert tokenizer.chat_template == TEMPLATE
    assert tokenizer.decode(tokenizer("Übung").input_ids) == "Übung"


@reads_gguf_merges
def test_a_folder_is_made_of_it_once(file, model, tmp_path, capsys):
    arguments = [str(file), "--output", str(tmp_path / "plain")]
    assert script.main(arguments) == 0
    assert "LlamaForCausalLM" in capsys.readouterr().out
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "plain")
    assert torch.allclose(logits(plain), logits(model), atol=1e-5)
    assert "quantization_config" not in json.loads((tmp_path / "plain/config.json").read_text())
    assert AutoTokenizer.from_pretrained(tmp_path / "plain").chat_template == TEMPLATE
    assert script.main(arguments) == 2
    assert "is there already" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"garbage" * 9, b"GGUF\3\0\0\0" + b"\xff" * 64])
def test_a_broken_file_is_one_error_with_its_name(tmp_path, content):
    path = tmp_path / "broken.gguf"
    path.write_bytes(content)
    with (
        pytest.raises(OSError, match=f"model={path}: .*cannot read it as GGUF"),
        naming_model("model", str(path)),
    ):
        load_config(path)


def test_a_missing_file_is_no_hub_name():
    with (
        pytest.raises(FileNotFoundError, match=r"model=gone.gguf does not exist"),
        naming_model("model", "gone.gguf"),
    ):
        pass


def test_several_processes_are_told_to_make_a_folder(file, monkeypatch):
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    with pytest.raises(ModelError, match=r"cctuning prepare model .*--output"):
        load_causal_lm(file)


def test_other_content_is_another_model(file, tmp_path):
    copy = tmp_path / file.name
    copy.write_bytes(file.read_bytes())
    assert identity_of(copy) == identity_of(file)
    copy.write_bytes(file.read_bytes()[:-4] + b"\1\2\3\4")
    assert identity_of(copy) != identity_of(file)

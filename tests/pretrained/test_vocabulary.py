"""A trimmed vocabulary: its texts are read as the same tokens, and give the same numbers."""

import json

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from cctuning.data.unknown_tokens import unknown_tokens_warning
from cctuning.pretrained.kinds import ModelError
from cctuning.pretrained.vocabulary import check_same, ids_of, trim_model, trim_tokenizer, unused_tokens
from tests.models import build
from tests.tiny import tiny_tokenizer

SENTENCE = "the capital of a land is known, столица страны известна, देश की राजधानी, nobody knows rivers"
WORDS = SENTENCE.split()
CORPUS = [" ".join((*WORDS[n:], *WORDS[:n])) for n in range(len(WORDS))]
TEXTS = ["the capital of a land is ____.", "столица страны", "\n\ndésert  is 12<|end|>", "राजधानी"]
OUTSIDE = "nobody knows rivers"
SPECIAL = ["<pad>", "<bos>", "<|end|>", "<unk>", "<unused0>", "<unused1>", "\n\n"]


def trained(normalizer=None, pre_tokenizer=None, special=()):
    """Vocabulary and merges of a BPE of `CORPUS`."""
    backend = Tokenizer(models.BPE())
    alphabet = pre_tokenizers.ByteLevel.alphabet() if pre_tokenizer else []
    if normalizer:
        backend.normalizer = normalizer
    if pre_tokenizer:
        backend.pre_tokenizer = pre_tokenizer
    options = {"special_tokens": list(special), "initial_alphabet": alphabet, "show_progress": False}
    backend.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=700, max_token_length=12, **options))
    state = json.loads(backend.to_str())["model"]
    return state["vocab"], [tuple(pair) for pair in state["merges"]]


def of_bytes(*, special_first, ignore_merges):
    """As Llama 3 and Qwen (special tokens behind the vocabulary) and SmolLM (before it) have them."""
    level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    vocabulary, merges = trained(pre_tokenizer=level, special=SPECIAL if special_first else ())
    if ignore_merges:
        vocabulary |= {"d" + "Ã©" + "sert": len(vocabulary)}  # no merge leads to it
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, ignore_merges=ignore_merges))
    backend.pre_tokenizer, backend.decoder = level, decoders.ByteLevel()
    return backend


def of_letters():
    """As Gemma has it: one text is one word, and letters that it does not know are bytes."""
    normalizer = normalizers.Replace(" ", "▁")
    vocabulary, merges = trained(normalizer=normalizer, special=SPECIAL)
    vocabulary |= {f"<0x{byte:02X}>": len(vocabulary) + byte for byte in range(256)}
    backend = Tokenizer(
        models.BPE(vocab=vocabulary, merges=merges, byte_fallback=True, unk_token="<unk>", fuse_unk=True)
    )
    backend.normalizer = normalizer
    backend.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    return backend


TOKENIZERS = {
    "llama3": lambda: of_bytes(special_first=False, ignore_merges=True),
    "qwen": lambda: of_bytes(special_first=False, ignore_merges=False),
    "smollm": lambda: of_bytes(special_first=True, ignore_merges=False),
    "gemma": of_letters,
}


@pytest.fixture(scope="module", params=TOKENIZERS)
def full(request):
    backend = TOKENIZERS[request.param]()
    backend.add_special_tokens([token for token in SPECIAL if token != "\n\n"])
    backend.add_tokens(["\n\n"])
    bos = backend.token_to_id("<bos>")
    template = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", bos)])
    backend.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), template])
    names = {"bos_token": "<bos>", "eos_token": "<|end|>", "pad_token": "<pad>", "unk_token": "<unk>"}
    return PreTrainedTokenizerFast(tokenizer_object=backend, **names)


@pytest.fixture
def trimmed(full, tmp_path):
    """The tokenizer that was trimmed for `TEXTS`, saved and loaded, and the ids that were kept."""
    made = trim_tokenizer(full, TEXTS, ids=[], size=len(full) + 3)
    made.tokenizer.save_pretrained(tmp_path)
    return PreTrainedTokenizerFast.from_pretrained(tmp_path), made.kept


@pytest.mark.parametrize(("name", "tied"), [("qwen2", False), ("gemma3", True), ("phi", False)])
def test_texts_give_the_same_hidden_states_to_the_bit_and_the_same_logits(full, trimmed, name, tied):
    tokenizer, kept = trimmed
    assert len(kept) == len(tokenizer) < len(full) - 20
    model = build(name, vocab_size=len(full) + 3, tie_word_embeddings=tied).eval()
    model.config.eos_token_id = [full.eos_token_id, full.convert_tokens_to_ids("a")]
    ids = [full(text)["input_ids"] for text in TEXTS]
    with torch.no_grad():
        before = [model(torch.tensor([row]), output_hidden_states=True) for row in ids]
    assert {*model.config.eos_token_id} <= ids_of(model)
    trim_model(model, kept)
    for text, row, whole in zip(TEXTS, ids, before, strict=True):
        new = tokenizer(text)["input_ids"]
        assert [kept[number] for number in new] == row
        assert tokenizer.decode(new) == full.decode(row)
        with torch.no_grad():
            part = model(torch.tensor([new]), output_hidden_states=True)
        # Sums of a narrower matrix may be taken in another order.
        torch.testing.assert_close(part.logits, whole.logits[..., kept], rtol=0, atol=1e-12)
        assert all(map(torch.equal, part.hidden_states, whole.hidden_states))
    names = tokenizer.convert_ids_to_tokens(model.config.eos_token_id)
    assert names == ["<|end|>", "a"]
    assert model.config.vocab_size == len(kept)
    assert (model.get_output_embeddings().weight is model.get_input_embeddings().weight) == tied


def test_special_tokens_stay_and_reserved_ones_go(full, trimmed):
    tokenizer, kept = trimmed
    for name in ("bos_token", "eos_token", "pad_token", "unk_token"):
        number = getattr(tokenizer, f"{name}_id")
        assert kept[number] == getattr(full, f"{name}_id")
        assert getattr(tokenizer, name) == getattr(full, name)
    assert tokenizer.convert_tokens_to_ids("\n\n") not in (None, tokenizer.unk_token_id)
    assert "<unused0>" not in tokenizer.get_vocab()


def test_another_text_is_read_in_pieces_and_said(full, trimmed):
    tokenizer, _ = trimmed
    for text in (OUTSIDE, "漢字"):
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert tokenizer.decode(ids) == text
        assert unused_tokens(tokenizer) & {*ids}
        warning = unknown_tokens_warning(tokenizer, {"en": [tokenizer(TEXTS[0])["input_ids"]], "xx": [ids]})
        assert "cut it again" in warning
        assert "xx " in warning
        assert "en " not in warning.partition("Share of")[2]
    assert unknown_tokens_warning(tokenizer, {"en": tokenizer(TEXTS)["input_ids"]}) is None
    assert not unused_tokens(full)
    with pytest.raises(ModelError, match="nobody"):
        check_same(full, tokenizer, list(range(len(full))), [OUTSIDE])


def words():
    return Tokenizer(models.WordLevel({"<unk>": 0, "a": 1}, "<unk>"))


def with_prefix():
    return Tokenizer(models.BPE({"a": 0, "##b": 1, "ab": 2}, [("a", "##b")], continuing_subword_prefix="##"))


def with_roberta():
    backend = Tokenizer(models.BPE({"a": 0}, []))
    backend.post_processor = processors.RobertaProcessing(("a", 0), ("a", 0))
    return backend


@pytest.mark.parametrize(
    ("make", "said"), [(words, "WordLevel"), (with_prefix, "##"), (with_roberta, "RobertaProcessing")]
)
def test_other_tokenizers_are_refused_by_name(make, said):
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=make())
    with pytest.raises(ModelError, match=said):
        trim_tokenizer(tokenizer, ["a"], ids=[], size=9)


def test_a_model_with_other_parts_for_each_token_is_refused():
    model = build("llama")
    model.register_buffer("bias_of_tokens", torch.zeros(64))
    with pytest.raises(ModelError, match="bias_of_tokens"):
        trim_model(model, [0, 1])
    model = build("llama")
    model.generation_config.bad_words_ids = [[3]]
    with pytest.raises(ModelError, match="bad_words_ids"):
        ids_of(model)


def test_tokens_behind_the_embeddings_are_left_out():
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens(["<image>"])
    made = trim_tokenizer(tokenizer, ["a"], ids=[], size=len(tokenizer) - 1)
    assert max(made.kept) < len(tokenizer) - 1

import pytest
import torch

from cctuning.data.batches import pad
from cctuning.data.prompts import PromptFormat
from cctuning.generation.generate import answer
from cctuning.generation.rules import prepare_to_save, stop_tokens
from tests.questions import PROMPTS, exported_model, plain_model, run_model
from tests.tiny import tiny_llama, tiny_rows, tiny_tokenizer

ROWS = tiny_rows(9)
QUESTIONS = [row.instruction for row in ROWS]
ENGLISH = [f"{row.instruction_en} {'very ' * (row.number % 3)}" for row in ROWS]  # of other lengths than x


@pytest.fixture(scope="module")
def model():
    return run_model()


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    return exported_model(tmp_path_factory.mktemp("exported"))


def texts(answers):
    return [said.text for said in answers]


@pytest.mark.parametrize("english", [None, ENGLISH], ids=["none", "bilingual"])
@pytest.mark.parametrize("batch_size", [2, 4, 16])
def test_batched_answers_are_those_of_one_question_at_a_time_in_the_questions_order(
    model, english, batch_size
):
    together = answer(model, PROMPTS, QUESTIONS, english=english, max_new_tokens=6, batch_size=batch_size)
    alone = [
        answer(model, PROMPTS, [question], english=english and [english[number]], max_new_tokens=6)[0]
        for number, question in enumerate(QUESTIONS)
    ]
    assert together == alone
    assert len(set(texts(together))) > 1


def test_the_order_of_the_questions_changes_nothing_but_the_order(model):
    forwards = answer(model, PROMPTS, QUESTIONS, english=ENGLISH, max_new_tokens=4, batch_size=2)
    backwards = answer(model, PROMPTS, QUESTIONS[::-1], english=ENGLISH[::-1], max_new_tokens=4, batch_size=2)
    assert forwards == backwards[::-1]


def test_the_english_prompt_changes_answers_and_the_layer_is_that_of_the_decision_maker(model):
    bilingual = answer(model, PROMPTS, QUESTIONS, english=ENGLISH, max_new_tokens=6)
    unconnected = answer(model, PROMPTS, QUESTIONS, max_new_tokens=6)
    assert all(said.connected for said in bilingual) and not any(said.connected for said in unconnected)
    assert all(said.layer is None for said in unconnected)
    assert texts(bilingual) != texts(unconnected)
    for question, english, said in zip(QUESTIONS, ENGLISH, bilingual, strict=True):
        ids = torch.tensor([PROMPTS.prompt_ids(english)])
        embedding = model.get_input_embeddings()(torch.tensor(PROMPTS.prompt_ids(question)[-1]))
        logits = (model.ffn_outputs(ids) + embedding).mean(1) @ model.decision_maker.weight.T  # eq. 2
        assert said.layer == int(logits.argmax())


def test_a_wrapped_model_without_english_answers_like_the_plain_one(model):
    plain = answer(plain_model(), PROMPTS, QUESTIONS, max_new_tokens=6)
    assert answer(model, PROMPTS, QUESTIONS, max_new_tokens=6) == plain


def test_an_unconnected_answer_after_a_connected_one_reports_no_layer(model):
    answer(model, PROMPTS, QUESTIONS[:1], english=ENGLISH[:1], max_new_tokens=1)
    [said] = answer(model, PROMPTS, QUESTIONS[:1], max_new_tokens=1)
    assert (said.connected, said.layer) == (False, None)


@pytest.mark.parametrize("batch_size", [2, 16])
def test_an_exported_model_is_connected_without_english(exported, model, batch_size):
    monolingual = answer(exported, PROMPTS, QUESTIONS, max_new_tokens=6, batch_size=batch_size)
    assert all(said.connected and said.layer in range(3) for said in monolingual)
    assert texts(monolingual) != texts(answer(model, PROMPTS, QUESTIONS, max_new_tokens=6))
    assert monolingual == [
        answer(exported, PROMPTS, [question], max_new_tokens=6)[0] for question in QUESTIONS
    ]


@pytest.mark.parametrize(
    ("connection", "layer"), [({"pooling": "layer", "layer": -1}, 2), ({"pooling": "mean"}, None)]
)
def test_a_fixed_layer_is_reported_and_a_mixture_has_none(connection, layer):
    answers = answer(run_model(**connection), PROMPTS, QUESTIONS[:3], english=ENGLISH[:3], max_new_tokens=1)
    assert [(said.connected, said.layer) for said in answers] == [(True, layer)] * 3


def test_options_of_generate_are_passed_on(model):
    torch.manual_seed(0)
    options = {"do_sample": True, "temperature": 5.0, "max_new_tokens": 8}
    assert answer(model, PROMPTS, QUESTIONS, **options) != answer(model, PROMPTS, QUESTIONS, **options)


def test_no_questions_have_no_answers(model):
    assert answer(model, PROMPTS, []) == []


def test_padding_on_the_left_is_the_first_token():
    ids, mask = pad([[5, 9], [6, 7, 8]], left=True)
    assert ids.tolist() == [[5, 5, 9], [6, 7, 8]]
    assert mask.tolist() == [[0, 1, 1], [1, 1, 1]]


def test_a_repetition_penalty_does_not_see_the_padding():
    penalised = plain_model()
    penalised.generation_config.repetition_penalty = 3.0
    alone = [answer(penalised, PROMPTS, [question], max_new_tokens=8)[0] for question in QUESTIONS]
    assert answer(penalised, PROMPTS, QUESTIONS, max_new_tokens=8, batch_size=9) == alone
    assert alone != answer(plain_model(), PROMPTS, QUESTIONS, max_new_tokens=8)


def test_a_response_ends_at_the_models_own_end_token_too():
    model = plain_model()
    model.generation_config.eos_token_id = [77, 99]
    assert stop_tokens(model, PROMPTS) == sorted({77, 99, PROMPTS.stop_token_id})


def test_generation_stops_at_the_trained_stop_token_too():
    prompts = PromptFormat(tiny_tokenizer("qwen"))
    model = tiny_llama(len(prompts.tokenizer))
    prepare_to_save(model.generation_config, prompts)
    assert set(model.generation_config.eos_token_id) == {1, prompts.stop_token_id}

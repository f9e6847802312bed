"""What rows say, what of it is learned, and what preflight tells of it; no torch anywhere."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from importlib.resources import files
from typing import Any

import pytest
from tiny_llm import EOS, TEMPLATE, chats, tokenizer

from worker import tasks
from worker.errors import BadConfig, BadData
from worker.splits import Split, hold_out
from worker.task import DataReport, ModelFacts
from worker.tasks.llm import TASK, rows, trainers
from worker.tasks.llm.chat import Template, named
from worker.tasks.llm.data import read, speech
from worker.tasks.llm.grpo.prompts import layout_of as prompt_layout
from worker.tasks.llm.pairs.rows import layout_of as pair_layout
from worker.tasks.llm.params import LlmParams
from worker.tasks.llm.report import inspect
from worker.tasks.llm.rows import Chat, Layout
from worker.tasks.llm.tokens import Example, Tokens, cut, encode

RAW = tokenizer().backend_tokenizer
FACTS = ModelFacts(
    "m",
    135_000_000,
    config={"hidden_size": 576, "num_hidden_layers": 30, "vocab_size": 49152},
    tokenizer_config={"eos_token": EOS},
    chat_template=TEMPLATE,
)


SMALL = {"block_size": 64, "batch_size": 1, "gradient_accumulation": 1}


def params(**settings: Any) -> LlmParams:
    return LlmParams(model="m", data_path="x", **{**SMALL, **settings})


def split(rows: Iterable[dict[str, Any]], source: str = "chats.jsonl", total: int = 0) -> Split:
    listed = list(rows)
    columns = tuple(dict.fromkeys(name for row in listed for name in row))
    return Split(source, columns, enumerate(listed, 1), total or len(listed))


def learned(row: dict[str, Any], **settings: Any) -> tuple[str, list[str]]:
    """Return the text of a row, and the pieces of it that are learned."""
    (example,) = examples([row], **settings)
    spans = [(0, len(example.text))] if example.learned is None else example.learned
    return example.text, [example.text[a:b] for a, b in spans]


def examples(rows: list[dict[str, Any]], **settings: Any) -> list[Example]:
    chosen = params(**{"trainer": "sft", **settings})
    part = split(rows)
    how = speech(chosen, FACTS.tokenizer_config, FACTS.chat_template, RAW)
    return read(part, chosen, how, part.rows).examples


def report(rows: list[dict[str, Any]], total: int = 0, **settings: Any) -> DataReport:
    chosen = params(**{"trainer": "sft", **settings})
    return inspect(chosen, {"train": split(rows, total=total)}, FACTS, RAW)


def told(found: DataReport, level: str = "ok") -> str:
    return "\n".join(f"{f.text} {f.fix}" for f in found.findings if f.level == level)


TURNS = [
    {"role": "user", "content": "hi"},
    {"role": "assistant", "content": "hello"},
    {"role": "user", "content": "more"},
    {"role": "assistant", "content": "the fox"},
]


@pytest.mark.parametrize("template", [None, "tokenizer", "chatml"])
def test_assistant_turns_are_learned_with_their_end(template: str | None) -> None:
    text, said = learned({"messages": TURNS}, chat_template=template)
    assert said == ["hello<|im_end|>", "the fox<|im_end|>"]
    assert text.startswith("<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\nhello")


def test_zephyr_ends_turns_with_the_tokenizers_own_end() -> None:
    text, said = learned({"messages": TURNS}, chat_template="zephyr")
    assert said == [f"hello{EOS}", f"the fox{EOS}"]
    assert text == (
        f"<|user|>\nhi{EOS}\n<|assistant|>\nhello{EOS}\n"
        f"<|user|>\nmore{EOS}\n<|assistant|>\nthe fox{EOS}\n"
    )


def test_chatml_ends_turns_with_a_token_the_tokenizer_has() -> None:
    plain = tokenizer(im_tokens=False).backend_tokenizer
    how = speech(params(chat_template="chatml"), {"eos_token": EOS}, None, plain)
    assert how.template is not None
    assert how.template.learned(TURNS[:2])[0].endswith(f"hello{EOS}\n")


def test_tokens_of_the_answer_are_learned_and_no_others() -> None:
    (tokens,) = encode(examples([{"messages": TURNS[:2]}]), RAW, eos=0)
    ids = [token for token, one in zip(tokens.ids, tokens.learned, strict=True) if one]
    assert RAW.decode(ids, skip_special_tokens=False) == "hello<|im_end|>"


def test_the_default_trainer_learns_everything() -> None:
    text, said = learned({"messages": TURNS}, trainer="default")
    assert said == [text]


@pytest.mark.parametrize("completion", [" the fox", [{"role": "assistant", "content": "the fox"}]])
def test_completions_are_learned_and_prompts_are_not(completion: Any) -> None:
    prompt = "say:" if isinstance(completion, str) else [{"role": "user", "content": "say:"}]
    _, said = learned({"prompt": prompt, "completion": completion})
    assert said == [" the fox" if isinstance(completion, str) else "the fox<|im_end|>"]


def test_a_prompt_of_messages_is_not_learned_whoever_speaks_in_it() -> None:
    _, said = learned({"prompt": TURNS[:3], "completion": TURNS[3:]})
    assert said == ["the fox<|im_end|>"]
    _, said = learned({"prompt": TURNS[:3], "completion": TURNS[3:]}, chat_template="chatml")
    assert said == ["the fox<|im_end|>"]


def test_an_end_of_turn_outside_the_templates_marks_is_learned_too() -> None:
    source = (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n"
        "{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{% endgeneration %}"
        "{% else %}{{ m.content }}{% endif %}<|im_end|>\n{% endfor %}"
    )
    text, spans, _ = Template(source, ends=frozenset({"<|im_end|>"})).learned(TURNS)
    assert [text[a:b] for a, b in spans] == ["hello<|im_end|>", "the fox<|im_end|>"]


CALL = {"type": "function", "function": {"name": "weather", "arguments": {"city": "Bern"}}}
TOOL = {
    "type": "function",
    "function": {"name": "weather", "description": "Now", "parameters": {"type": "object"}},
}
CALLS: list[dict[str, Any]] = [
    {"role": "user", "content": "weather?"},
    {"role": "assistant", "content": "", "tool_calls": [CALL]},
    {"role": "tool", "name": "weather", "content": "sun"},
    {"role": "assistant", "content": "It shines."},
]


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("qwen2_5", ['<tool_call>\n{"name": "weather", "arguments": {"city": "Bern"}}', "It sh"]),
        ("llama3_1", ['{"name": "weather", "parameters": {"city": "Bern"}}', "It shines."]),
        ("qwen2_5_vl", ["", "It shines."]),
        ("nemotron_3_nano", ["</think>\n<tool_call>\n<function=weather>", "</think>It shines."]),
    ],
)
@pytest.mark.parametrize("packed", [list, json.dumps])
def test_templates_that_are_out_there_get_tools_and_say_what_is_learned(
    name: str, said: list[str], packed: Any
) -> None:
    source = (files("trl") / "chat_templates" / f"{name}.jinja").read_text()
    theirs = tokenizer(template=source)
    row = {"messages": [{**turn, "name": turn.get("name")} for turn in CALLS]}
    row["tools"] = packed([{**TOOL, "strict": None} if packed is list else TOOL])
    how = speech(params(), {"eos_token": EOS}, source, RAW)
    part = split([row])
    (example,) = read(part, params(trainer="sft"), how, part.rows).examples
    assert example.text == theirs.apply_chat_template(CALLS, tools=[TOOL], tokenize=False)
    found = [example.text[a:b] for a, b in example.learned or ()]
    assert all(text.startswith(start) for text, start in zip(found, said, strict=True))


def call(**arguments: Any) -> dict[str, Any]:
    function = {"name": "weather", "arguments": arguments}
    return {"role": "assistant", "content": "", "tool_calls": [{"function": function}]}


def arguments(messages: list[dict[str, Any]]) -> Any:
    said = Layout("messages", ("messages",), "x").read({"messages": messages}, 1)
    assert isinstance(said, Chat)
    return said.messages[1]["tool_calls"][0]["function"]["arguments"]


def test_an_argument_of_none_is_said_and_one_a_table_filled_in_is_not() -> None:
    by_hand = [TURNS[0], call(city="Bern", day=None)]
    assert arguments(by_hand) == {"city": "Bern", "day": None}
    from_a_table = [{"tool_calls": None, **TURNS[0]}, call(city="Bern", day=None)]
    assert arguments(from_a_table) == {"city": "Bern"}


def test_parts_that_a_table_filled_in_are_text_alone() -> None:
    parts = [{"type": "text", "text": "hi", "image": None}]
    rows = {"messages": [{"role": "user", "content": parts}, {"role": "user", "content": parts}]}
    said = Layout("messages", ("messages",), "x").read(rows, 1)
    assert isinstance(said, Chat)
    assert said.messages[0]["content"] == [{"type": "text", "text": "hi"}]


def test_parts_of_text_are_one_text_and_pictures_are_refused() -> None:
    parts = [{"type": "text", "text": "the "}, {"type": "text", "text": "fox"}]
    row = {"messages": [TURNS[0], {"role": "assistant", "content": parts}]}
    assert learned(row)[1] == ["the fox<|im_end|>"]
    media = {"type": "image_url", "image_url": {"url": "http://a/b.png"}}
    said = told(report([{"messages": [{"role": "user", "content": [media]}, TURNS[1]]}]), "error")
    assert "a part of type image_url" in said and "hubtrain vlm" in said


def test_what_a_template_does_not_write_is_told() -> None:
    thought = {"role": "assistant", "content": "hm", "reasoning_content": "So?"}
    rows = [{"messages": CALLS, "tools": [TOOL]}, {"messages": [TURNS[0], thought]}]
    said = told(report(rows), "warn")
    assert "does not write the tools and tool calls and reasoning" in said
    qwen = (files("trl") / "chat_templates" / "qwen3.jinja").read_text()
    chosen, facts = params(trainer="sft"), replace(FACTS, chat_template=qwen)
    assert "does not write" not in told(inspect(chosen, {"train": split(rows)}, facts, RAW), "warn")
    unknown = replace(FACTS, parameters=0, chat_template=None)
    found = inspect(chosen, {"train": split(rows)}, unknown, None)
    assert "does not write" not in told(found, "warn")


def test_messages_without_a_role_are_told_together() -> None:
    rows = [{"messages": [{"content": word}, TURNS[1]]} for word in ("a", "b", "c")]
    said = told(report(rows), "error")
    assert "has no role, only content" in said and "lines 1, 2, 3" in said


def test_tools_that_are_none_name_their_line() -> None:
    said = told(report([{"messages": TURNS, "tools": "hammer"}]), "error")
    assert '"tools" in chats.jsonl is' in said and "(chats.jsonl, line 1)" in said


@pytest.mark.parametrize(
    ("add_eos", "ends"), [(True, [EOS]), (False, [])], ids=["with-eos", "without"]
)
def test_texts_end_with_the_end_of_text_unless_told_otherwise(
    add_eos: bool, ends: list[str]
) -> None:
    found = examples([{"text": "the fox"}], add_eos_token=add_eos, trainer="default")
    (tokens,) = encode(found, RAW, eos=0)
    assert RAW.decode(list(tokens.ids), skip_special_tokens=False) == "the fox" + "".join(ends)
    assert tokens.learned == bytes([0] + [1] * (len(tokens) - 1))


def test_an_end_of_text_in_the_data_is_not_doubled() -> None:
    (tokens,) = encode(examples([{"text": "the fox" + EOS}]), RAW, eos=0)
    assert list(tokens.ids).count(0) == 1


def test_an_end_of_text_in_the_data_stays_where_none_is_to_be_added() -> None:
    found = examples([{"text": "the fox" + EOS}], add_eos_token=False)
    (tokens,) = encode(found, RAW, eos=0)
    assert tokens.ids[-1] == 0 and list(tokens.ids).count(0) == 1


def test_long_examples_are_cut_and_long_texts_go_on() -> None:
    (tokens,) = encode([Example("the fox " * 40)], RAW, eos=0)
    assert [len(p) for p in cut(tokens, 32, keep_all=False)] == [32]
    pieces = cut(tokens, 32, keep_all=True)
    assert max(map(len, pieces)) == 32
    learned = [token for piece in pieces for token in piece.ids[1:]]
    assert [tokens.ids[0], *learned] == list(tokens.ids)


def test_a_text_of_one_token_too_many_keeps_its_end() -> None:
    (tokens,) = encode([Example("x" * 32)], RAW, eos=0)
    assert len(tokens) == 33
    assert [list(p.ids) for p in cut(tokens, 32, keep_all=True)][1:] == [list(tokens.ids[-2:])]


@pytest.mark.parametrize("completion", [" the fox ", " the fox  "])
@pytest.mark.parametrize("trims", [False, True])
def test_white_space_at_the_end_of_a_completion_is_learned(completion: str, trims: bool) -> None:
    from tokenizers import processors

    raw = tokenizer().backend_tokenizer
    raw.post_processor = processors.ByteLevel(trim_offsets=trims)
    (tokens,) = encode(examples([{"prompt": "say:", "completion": completion}]), raw, eos=0)
    said = [token for token, learned in zip(tokens.ids, tokens.learned, strict=True) if learned]
    assert raw.decode(said, skip_special_tokens=False) == completion + EOS


def test_what_is_cut_before_the_answer_is_left_out() -> None:
    tokens = Tokens(RAW.encode("x").ids * 40, bytes([0] * 35 + [1] * 5))
    assert cut(tokens, 32, keep_all=False) == []


@pytest.mark.parametrize(
    "row",
    [
        {"messages": TURNS},
        {"messages": json.dumps(TURNS)},
        {"text": TURNS},
        {"text": json.dumps(TURNS)},
        {
            "conversations": [
                {"from": {"user": "human", "assistant": "gpt"}[t["role"]], "value": t["content"]}
                for t in TURNS
            ]
        },
        {
            "conversations": [
                {"from": {"user": "Human"}.get(t["role"], "Assistant"), "value": t["content"]}
                for t in TURNS
            ]
        },
        {"messages": [{**t, "role": t["role"].capitalize()} for t in TURNS]},
    ],
    ids=["messages", "json", "text-column", "text-column-json", "sharegpt", "Human", "User"],
)
def test_conversations_are_recognised(row: dict[str, Any]) -> None:
    assert learned(row) == learned({"messages": TURNS})


def test_a_missing_column_names_those_there_are_and_the_flag() -> None:
    part = split([{"review": "a good film", "stars": 5, "date": "today"}], "reviews.csv")
    with pytest.raises(BadData) as error:
        inspect(params(), {"train": part}, FACTS, RAW)
    assert str(error.value) == (
        'no column "text" in reviews.csv; it has: review, stars, date. '
        'The longest text is in "review": --text-column review  or, for a prompt and its answer,  '
        "--prompt-column review --completion-column date"
    )


def test_two_columns_of_text_may_be_a_question_and_its_answer() -> None:
    part = split([{"id": 1, "frage": "Wer?", "die antwort": "Niemand, den du kennst."}])
    with pytest.raises(BadData) as error:
        inspect(params(), {"train": part}, FACTS, RAW)
    assert error.value.fix == (
        "--text-column 'die antwort'  or, for a prompt and its answer,  "
        "--prompt-column frage --completion-column 'die antwort'"
    )


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"chosen": "a b", "rejected": "a c"}, "--trainer dpo"),
        ({"data": {"question": "a"}, "meta": {"b": 1}}, "one level higher"),
    ],
)
def test_other_shapes_are_told_what_helps(row: dict[str, Any], said: str) -> None:
    with pytest.raises(BadData, match=said):
        inspect(params(trainer="sft"), {"train": split([row])}, FACTS, RAW)


def test_a_misspelt_column_names_the_one_that_was_meant() -> None:
    part = split([{"body": "a" * 99, "txt": "b"}])
    with pytest.raises(BadData, match='nearest is "txt": --text-column txt'):
        inspect(params(), {"train": part}, FACTS, RAW)


ALPACA = {"instruction": "Add.", "input": "1 and 2", "output": "3"}


@pytest.mark.parametrize(
    ("row", "asked"),
    [
        (ALPACA, "Add.\n\n1 and 2"),
        ({**ALPACA, "input": ""}, "Add."),
        ({**ALPACA, "input": None}, "Add."),
        ({"instruction": "Add.", "output": "3"}, "Add."),
        ({"instruction": "Add.", "context": "1 and 2", "response": "3"}, "Add.\n\n1 and 2"),
        ({"instruction": "Add.", "input": "1 and 2", "response": "3"}, "Add.\n\n1 and 2"),
    ],
)
def test_instructions_are_turns_and_what_they_are_about_is_kept(
    row: dict[str, Any], asked: str
) -> None:
    text, said = learned(row)
    assert text.startswith(f"<|im_start|>user\n{asked}<|im_end|>\n<|im_start|>assistant\n3")
    assert said == ["3<|im_end|>"]


def test_the_input_of_an_instruction_is_kept_where_columns_are_named() -> None:
    named = {"prompt_text_column": "instruction", "completion_column": "output"}
    assert learned(ALPACA, **named) == ("Add.\n\n1 and 23", ["3"])


def test_instructions_without_a_template_say_what_to_type() -> None:
    chosen, part = params(trainer="sft"), split([ALPACA])
    with pytest.raises(BadConfig, match=r"holds instructions.*--chat-template chatml"):
        read(part, chosen, speech(chosen, {}, None, RAW), part.rows)


def test_half_a_pair_names_the_other_half() -> None:
    with pytest.raises(BadData, match=r'no column "completion".*--completion-column reply'):
        report([{"prompt": "a", "reply": "b"}])


def test_an_unknown_role_names_itself_and_its_line() -> None:
    strange = {"messages": [{"role": "narrator", "content": "x"}]}
    said = told(report([{"messages": TURNS}, strange]), "error")
    assert 'role "narrator" in chats.jsonl' in said and "(chats.jsonl, line 2)" in said


@pytest.mark.parametrize("trainer", ["default", "dpo"])
def test_tokens_that_the_model_has_no_embedding_for(trainer: str) -> None:
    row = {"text": "hello", "prompt": "hi", "chosen": "hello", "rejected": "no"}
    asked = params(trainer=trainer)
    for size, wrong in ((8, True), (RAW.get_vocab_size(), False)):
        facts = replace(FACTS, config={**FACTS.config, "vocab_size": size})
        found = trainers.of(asked).inspect(asked, {"train": split([row] * 2)}, facts, RAW)
        assert ("embeddings for 8 tokens, up to 7" in told(found, "error")) == wrong


def test_a_chat_the_template_refuses_names_its_line() -> None:
    strict = "{% if messages[0]['role'] != 'user' %}{{ raise_exception('user first') }}{% endif %}x"
    part = split([{"messages": TURNS[1:]}])
    found = inspect(params(), {"train": part}, replace(FACTS, chat_template=strict), RAW)
    said = told(found, "error")
    assert re.search(r"refuses chats.jsonl .*roles assistant, user.*user first.*line 1\)", said)


def test_conversations_without_a_template_say_which_to_take() -> None:
    bare = ModelFacts("m", 10, tokenizer_config={"eos_token": EOS})
    with pytest.raises(BadConfig, match=r"no chat template\. --chat-template chatml"):
        inspect(params(), {"train": split([{"messages": TURNS}])}, bare, RAW)


def test_the_report_says_what_a_person_needs() -> None:
    rows = [*chats(50), {"messages": []}, chats(1)[0]]
    found = report(rows, valid_split=0.1, block_size=40)
    text = told(found)
    assert "chats.jsonl · 46 conversations · 10% held out for validation (--valid-split)" in text
    assert "tokens a row: median" in text and "rows (" in text and "cut at 40" in text
    assert "loss on assistant turns only, end of turn included · template: the tokenizer's" in text
    assert "1 row is empty and will be left out: line 51" in told(found, "warn")
    assert "the same as an earlier one" in told(found, "warn")
    assert found.valid_rows == 5 and found.rows == 46 and found.steps > 5


def test_a_sample_is_scaled_up_to_the_whole() -> None:
    few, all_of_it = report(chats(20), total=2000), report(chats(20))
    assert few.rows == 2000 and few.steps == pytest.approx(100 * all_of_it.steps, rel=0.02)
    assert "about 2,000 conversations" in told(few)


def test_rows_are_no_longer_than_the_model_sees() -> None:
    short = replace(FACTS, config={**FACTS.config, "max_position_embeddings": 32})
    parts = {"train": split(chats(20))}
    found = inspect(params(block_size=64, trainer="sft"), parts, short, RAW)
    assert "of up to 32 tokens" in told(found)
    assert "m sees 32 tokens at most" in told(found, "warn")


def test_a_chat_template_that_nothing_is_written_with_is_told() -> None:
    row = {"text": "the fox"}
    told_of = "--chat-template zephyr is not used: chats.jsonl has texts"
    assert told_of in told(report([row] * 20, chat_template="zephyr"), "warn")
    assert "is not used" not in told(report([row] * 20), "warn")
    assert "is not used" not in told(report(chats(20), chat_template="zephyr"), "warn")


def test_a_template_whose_turns_nothing_ends_is_told() -> None:
    plain = "{% for m in messages %}### {{ m.role }}\n{{ m.content }}\n{% endfor %}"
    parts = {"train": split(chats(20))}
    found = inspect(params(trainer="sft"), parts, replace(FACTS, chat_template=plain), RAW)
    assert "the model does not learn to stop --chat-template chatml" in told(found, "warn")
    assert "learn to stop" not in told(report(chats(20)), "warn")


def test_max_steps_outranks_epochs() -> None:
    assert report(chats(20), max_steps=7, epochs=3).steps == 7


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "only 1 optimizer step: a model hardly learns in so few --epochs 10"),
        ({"epochs": 3}, "only 3 optimizer steps: a model hardly learns in so few --epochs 10"),
        (
            {"max_steps": 4},
            "only 4 optimizer steps: a model hardly learns in so few --max-steps 10",
        ),
        ({"epochs": 10}, None),
    ],
)
def test_few_steps_are_said(settings: dict[str, Any], said: str | None) -> None:
    warned = told(report(chats(8), gradient_accumulation=64, **settings), "warn")
    assert said in warned if said else "optimizer step" not in warned


def test_without_a_tokenizer_lengths_are_estimated() -> None:
    found = inspect(params(), {"train": split(chats(9))}, FACTS, None)
    assert "estimated from characters" in told(found) and found.steps > 0


def test_hold_out_keeps_some_and_never_all() -> None:
    assert len(hold_out(10, 0.99, 0)) == 9
    assert len(hold_out(10, 0.001, 0)) == 1
    assert hold_out(1, 0.5, 0) == frozenset()


@pytest.mark.parametrize("value", [0.05, "0.05", "valid"])
def test_a_split_is_a_name_or_a_share(value: Any) -> None:
    assert params(valid_split=value).valid_share == (None if value == "valid" else 0.05)


@pytest.mark.parametrize("value", [1.5, 0, -0.1])
def test_a_share_is_below_one(value: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        params(valid_split=value)


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("source", [named("chatml"), named("zephyr")])
def test_our_templates_mark_what_transformers_masks(source: str) -> None:
    theirs = tokenizer(template=source)
    found = theirs.apply_chat_template(TURNS, return_assistant_tokens_mask=True, return_dict=True)
    how = Template(source, {"eos_token": EOS})
    text, spans, _ = how.learned(TURNS)
    (tokens,) = encode([Example(text, spans, finished=True)], RAW, eos=0)
    assert list(tokens.learned) == found["assistant_masks"]


@pytest.mark.parametrize(
    "attack",
    [
        "{{ messages.__class__.__mro__ }}",
        "{{ namespace(__init__=1) }}",
        "{{ messages.append({}) }}",
        "{{ dict.__base__ }}",
    ],
)
def test_templates_are_strangers_and_stay_in_their_sandbox(attack: str) -> None:
    import jinja2

    try:
        text = Template(attack).render(TURNS)
    except jinja2.TemplateError:
        return
    assert "class" not in text


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys; from worker import tasks; tasks.load('llm'); "
        "print([m for m in ('torch', 'transformers', 'datasets', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_memory_grows_with_what_is_trained_and_kept() -> None:
    task, data = tasks.load("llm"), DataReport(rows=10, units=1000)
    lora, full = (task.footprint(params(peft=peft), FACTS, data) for peft in (True, False))
    assert lora.low < lora.expected < lora.high < full.expected
    kept = task.footprint(params(peft=True), FACTS, data, 1e12)
    assert kept.expected > lora.expected and "no checkpointing" in kept.explained
    assert task.footprint(params(peft=True), FACTS, data, 1e9) == lora
    assert task.flops(params(), FACTS, data) > 6 * 135e6 * 1000


@pytest.mark.parametrize(
    ("asked", "answered"),
    [("question", "answer"), ("query", "response"), ("prompt", "response"), ("input", "output")],
)
def test_questions_and_answers_under_usual_names_are_turns(asked: str, answered: str) -> None:
    text, said = learned({"id": "1", asked: "how?", answered: "so"})
    assert text == learned({"messages": turns("how?", "so")})[0]
    assert said == ["so<|im_end|>"]


def test_answers_under_two_names_are_not_guessed() -> None:
    with pytest.raises(BadData, match='no column "text"'):
        report([{"question": "how?", "answer": "so", "response": "thus"}])


def test_prompts_become_turns_where_a_template_is_asked_for() -> None:
    row = {"prompt": "how?", "completion": "so"}
    assert learned(row) == ("how?so", ["so"])
    assert learned(row, chat_template="tokenizer") == learned({"messages": turns("how?", "so")})


@pytest.mark.parametrize("column", ["system", "system_prompt"])
@pytest.mark.parametrize(
    "row",
    [
        {"instruction": "how?", "input": "", "output": "so"},
        {"question": "how?", "response": "so"},
        {"conversations": [{"from": "human", "value": "how?"}, {"from": "gpt", "value": "so"}]},
    ],
)
def test_what_the_assistant_is_told_first_may_have_a_column(row: Any, column: str) -> None:
    wanted = [{"role": "system", "content": "Be brief."}, *turns("how?", "so")]
    assert learned({**row, column: "Be brief."}) == learned({"messages": wanted})
    assert learned({**row, column: ""}) == learned({"messages": wanted[1:]})


def test_calls_of_sharegpt_are_calls() -> None:
    said = [
        {"from": "human", "value": "weather?"},
        {"from": "function_call", "value": '{"name": "weather", "arguments": {"city": "Bern"}}'},
        {"from": "observation", "value": "sun"},
        {"from": "gpt", "value": "It shines."},
    ]
    chat = Layout("messages", ("conversations",), "x").read({"conversations": said}, 1)
    assert isinstance(chat, Chat)
    function = {"name": "weather", "arguments": {"city": "Bern"}}
    assert [m["role"] for m in chat.messages] == ["user", "assistant", "tool", "assistant"]
    assert chat.messages[1]["tool_calls"] == [{"type": "function", "function": function}]
    assert chat.messages[2]["content"] == "sun"
    plain = {"from": "function_call", "value": "weather(Bern)"}
    chat = Layout("messages", ("c",), "x").read({"c": [plain]}, 1)
    assert isinstance(chat, Chat) and chat.messages[0]["content"] == "weather(Bern)"


def test_messages_as_python_prints_them_are_messages() -> None:
    assert learned({"messages": repr(TURNS)}) == learned({"messages": TURNS})
    assert learned({"text": repr(TURNS)}) == learned({"text": TURNS})


def turns(asked: str, answered: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": asked}, {"role": "assistant", "content": answered}]


# rows that cannot be read


def test_all_rows_that_cannot_be_read_are_named_at_once() -> None:
    rows: list[dict[str, Any]] = [{"messages": TURNS}] * 40
    for place in (3, 7, 20, *range(30, 40)):
        rows[place] = {"messages": f"row {place}"}
    rows[5] = {"messages": [{"role": "narrator", "content": "x"}]}
    found = [f.text for f in report(rows).findings if f.level == "error"]
    assert len(found) == 9
    assert "where a list of messages is expected. (chats.jsonl, line 4)" in found[0]
    assert 'does not know the role "narrator"' in found[1] and "line 6" in found[1]
    lines = "lines 35, 36, 37, 38, 39, 40"
    assert found[8] == f"other rows are broken too (chats.jsonl, {lines})"


def test_rows_with_one_fault_are_told_together() -> None:
    rows: list[dict[str, Any]] = [{"messages": TURNS}] * 2
    rows += [{"messages": [{"role": "narrator", "content": f"x {i}"}]} for i in range(40)]
    (said,) = [f.text for f in report(rows).findings if f.level == "error"]
    assert said.endswith(
        "(chats.jsonl, lines " + ", ".join(map(str, range(3, 23))) + " and 20 more)"
    )


# one example, shown


def shown(row: dict[str, Any], **settings: Any) -> str:
    """Return the example of a report, what is learned in brackets, special tokens in braces."""
    example = report([row] * 3, **settings).example
    assert example is not None and example.where == "line 1 of chats.jsonl"
    parts = ((f"{{{p.text}}}" if p.special else p.text, p.learned) for p in example.parts)
    return "".join(f"[{text}]" if said else text for text, said in parts)


def test_an_example_shows_what_is_learned_of_it() -> None:
    chat = {"messages": [{"role": "system", "content": "é 你"}, *TURNS[:2]]}
    head = "{<|im_start|>}system\né 你{<|im_end|>}\n{<|im_start|>}user\nhi{<|im_end|>}\n"
    tail = "{<|im_start|>}assistant\n[hello][{<|im_end|>}]\n"
    assert shown(chat) == head + tail
    # A token that reaches over the border is said by the model.
    assert shown({"prompt": "say: ", "completion": "the fox"}) == f"say:[ the fox][{{{EOS}}}]"
    assert shown({"text": "the fox"}, trainer="default") == f"the[ fox][{{{EOS}}}]"
    assert shown({"text": "the fox"}, add_eos_token=False) == "the[ fox]"


@pytest.mark.parametrize(
    "row", [{"messages": TURNS}, {"prompt": "a ", "completion": " the fox"}, {"text": "a fox"}]
)
def test_an_example_shows_the_tokens_that_are_trained_on(row: dict[str, Any]) -> None:
    chosen: dict[str, Any] = {"trainer": "sft", "block_size": 512}
    (tokens,) = encode(examples([row], **chosen), RAW, eos=0)
    example = report([row], **chosen).example
    assert example is not None
    said = "".join(p.text for p in example.parts if p.learned)
    trained = [i for i, one in zip(tokens.ids, tokens.learned, strict=True) if one]
    assert RAW.decode(trained, skip_special_tokens=False) == said


def test_an_example_is_short_and_says_where_it_is_cut() -> None:
    long = {"prompt": "lazy dog " * 500, "completion": "\n".join(f"fox {i}" for i in range(99))}
    example = report([long], block_size=4096).example
    assert example is not None
    assert sum(len(part.text) for part in example.parts) < 1000
    assert "… 4,139 characters …" in example.parts[0].text
    assert "… 92 lines …" in example.parts[1].text
    cut = report([{"prompt": "the ", "completion": "fox " * 99}], block_size=16).example
    assert cut is not None and cut.note == "cut at 16 tokens"
    assert len("".join(part.text for part in cut.parts)) < 100
    turns_of_many = {"messages": TURNS * 100}
    example = report([turns_of_many], block_size=9999).example
    assert example is not None and len(example.parts) <= 24


def test_an_example_is_shown_without_a_tokenizer_too() -> None:
    found = inspect(
        params(trainer="sft"), {"train": split([{"prompt": "a", "completion": "b"}])}, FACTS, None
    ).example
    assert found is not None
    assert [(p.text, p.learned) for p in found.parts] == [("a", False), ("b", True), (EOS, True)]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"text": 7}, rows.Text("7")),
        ({"text": 7.5}, rows.Text("7.5")),
        ({"prompt": 6, "completion": 42.0}, rows.Answer("6", "42")),
        ({"question": 6, "answer": True}, ("6", "true")),
    ],
)
def test_a_number_is_the_text_that_stands_there(row: dict[str, Any], said: Any) -> None:
    found = rows.layout_of(list(row), row, params(), "n.csv").read(row, 2)
    turns = found.messages if isinstance(found, rows.Chat) else ()
    assert (tuple(message["content"] for message in turns) or found) == said


def test_a_number_is_an_answer_or_a_prompt_too() -> None:
    pair = {"prompt": 1, "chosen": 22, "rejected": 3}
    asked = TASK.params(model="m", data_path="d", trainer="dpo")
    own = trainers.of(asked).own(asked)
    found = pair_layout(list(pair), pair, asked, own, "n.csv").pair(pair, 2)
    assert found is not None
    assert (found.chosen, found.rejected) == (rows.Answer("1", "22"), rows.Answer("1", "3"))
    prompts = prompt_layout(["prompt"], {"prompt": 12}, asked, "n.csv")
    assert prompts.read({"prompt": 12}, 2) == "12"

"""Chats as text and what of them is learned, against transformers and TRL.

All templates TRL ships, by chats of every kind. TRL trains on templates it patched by hand; ours
are as they came, and the same is learned of them.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from itertools import groupby
from typing import Any

import pytest
from tiny_llm import EOS, TEMPLATE
from tiny_llm import tokenizer as tiny

from worker.families.sandbox import FAULTS
from worker.tasks.llm.chat import Template, named
from worker.tasks.llm.data import speech
from worker.tasks.llm.params import LlmParams
from worker.tasks.llm.tokens import Example, encode

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")

SHIPPED = {
    file.name.removesuffix(".jinja"): file.read_text(encoding="utf-8")
    for file in sorted((files("trl") / "chat_templates").iterdir(), key=lambda file: file.name)
    if file.name.endswith(".jinja") and not file.name.endswith("_training.jinja")
}
SOURCES = {**SHIPPED, "chatml": named("chatml"), "zephyr": named("zephyr"), "plain": TEMPLATE}

Turn = dict[str, Any]


def user(content: Any) -> Turn:
    return {"role": "user", "content": content}


def assistant(content: Any, **more: Any) -> Turn:
    return {"role": "assistant", "content": content, **more}


def call(**arguments: Any) -> Turn:
    function = {"name": "weather", "arguments": arguments}
    return assistant("", tool_calls=[{"type": "function", "function": function}])


TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Now",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
SYSTEM = {"role": "system", "content": "Be brief."}
SUN = {"role": "tool", "name": "weather", "content": "sun"}
MULTI = [user("hi"), assistant("hello"), user("more"), assistant("the fox")]
CHATS: dict[str, list[Turn]] = {
    "one": MULTI[:2],
    "several": MULTI,
    "system": [SYSTEM, *MULTI],
    "tools": [user("weather?"), call(city="Bern"), SUN, assistant("It shines.")],
    "tools, then more": [user("weather?"), call(city="Bern"), SUN, assistant("Sun."), *MULTI],
    "a call last": [user("weather?"), call(city="Bern")],
    "no argument": [user("weather?"), call(city=None), SUN, assistant("It shines.")],
    "reasoning": [user("hi"), assistant("hello", reasoning_content="Hm.")],
    "thinking": [user("hi"), assistant("hello", thinking="Hm."), *MULTI[2:]],
    "reasoning, twice": [*MULTI[:3], assistant("the fox", reasoning="So.", thinking="So?")],
    "assistant first": [assistant("welcome"), *MULTI],
    "nothing said": [user("hi"), assistant(""), *MULTI[2:]],
    "user last": MULTI[:3],
    "parts": [
        user([{"type": "text", "text": "hi"}]),
        assistant([{"type": "text", "text": "hello"}]),
    ],
}


def judged(kind: str, source: str) -> list[Turn]:
    """Return a chat as the judge gets it: parts of text as the text, where a template writes that.

    Many templates print parts as Python prints lists, or drop them.
    """
    try:
        plain = tokenizer().apply_chat_template(MULTI[:2], chat_template=source, tokenize=False)
    except FAULTS:
        plain = ""
    return MULTI[:2] if kind == "parts" and "hello" in plain else CHATS[kind]


TOOLED = {"tools", "tools, then more", "a call last", "no argument"}

SPECIAL = sorted(
    {
        token
        for source in SHIPPED.values()
        for token in re.findall(
            r"<[|\uff5c][^<>\s]*?[|\uff5c]>|<\|\w+>|<\w+\|>|<\w+_of_\w+>", source
        )
    }
)


@cache
def tokenizer() -> Any:
    made = tiny()
    made.add_special_tokens({"bos_token": "<s>", "additional_special_tokens": SPECIAL})
    return made


def template(name: str) -> Template:
    theirs = tokenizer()
    params = LlmParams(model="m", data_path="x")
    how = speech(params, theirs.special_tokens_map, SOURCES[name], theirs.backend_tokenizer)
    assert how.template is not None
    return how.template


@cache
def trained_by_trl(name: str) -> str | None:
    """Return the template TRL trains with; none where it has none."""
    from trl.chat_template_utils import get_training_chat_template

    theirs = tokenizer()
    theirs.chat_template = SOURCES[name]
    try:
        return get_training_chat_template(theirs) or SOURCES[name]
    except ValueError:
        return None


@pytest.mark.parametrize("name", SOURCES)
def test_chats_read_as_transformers_writes_them(name: str) -> None:
    ours, theirs = template(name), tokenizer()
    for kind, chat in CHATS.items():
        tools = [TOOL] if kind in TOOLED else None
        for prompt in (False, True):
            how = {"tools": tools, "add_generation_prompt": prompt, "tokenize": False}
            try:
                text = theirs.apply_chat_template(
                    judged(kind, SOURCES[name]), chat_template=SOURCES[name], **how
                )
            except FAULTS:
                with pytest.raises(FAULTS):
                    ours.render(chat, tools or (), prompt=prompt)
                continue
            assert ours.render(chat, tools or (), prompt=prompt) == text, kind


UNLIKE = {
    # The template on the Hub refuses the arguments of a call that are not text.
    *(("deepseekv3", kind) for kind in TOOLED),
}


@pytest.mark.parametrize("name", SHIPPED)
def test_what_is_learned_is_what_trl_learns(name: str) -> None:
    source = trained_by_trl(name)
    if source is None:
        return
    ours, theirs = template(name), tokenizer()
    for kind, chat in CHATS.items():
        if (name, kind) in UNLIKE:
            continue
        tools = [TOOL] if kind in TOOLED else None
        how = {"tools": tools, "chat_template": source}
        try:
            found = theirs.apply_chat_template(
                judged(kind, source), return_dict=True, return_assistant_tokens_mask=True, **how
            )
        except FAULTS:
            continue
        text, spans, lost = ours.learned(chat, tools or ())
        (tokens,) = encode([Example(text, spans, finished=True)], theirs.backend_tokenizer, eos=0)
        assert list(tokens.ids) == found["input_ids"], kind
        prompt = prompts(theirs, judged(kind, source), how)
        said = runs(found["input_ids"], found["assistant_masks"])
        mine = runs(list(tokens.ids), list(tokens.learned))
        assert len(said) == len(mine), kind
        assert not lost, kind
        for one, other in zip(said, mine, strict=True):
            assert alike(one, other, prompt), (kind, one, other)


def prompts(theirs: Any, chat: list[Turn], how: dict[str, Any]) -> str:
    """Return the prompts for each answer but a first one, and for one to a plain question."""
    before = [chat[:i] for i, turn in enumerate(chat) if i and turn["role"] == "assistant"]
    if not before:
        before = [MULTI[:1]]
    return "\n".join(
        theirs.apply_chat_template(turns, add_generation_prompt=True, tokenize=False, **how)
        for turns in before
    )


def runs(ids: list[int], mask: list[int]) -> list[str]:
    """Return what the tokens spell that are learned in one go."""
    groups = groupby(zip(ids, mask, strict=True), key=lambda pair: pair[1])
    return [tokenizer().decode([i for i, _ in group]) for learned, group in groups if learned]


def alike(theirs: str, ours: str, prompt: str) -> bool:
    """Whether the same is learned: but for what the prompt gives, and a last token."""
    ends = {ours.rstrip(), without_last(ours)}
    return any(
        theirs[:i] in prompt and {theirs[i:].rstrip(), without_last(theirs[i:])} & ends
        for i in range(len(theirs))
    )


def without_last(text: str) -> str:
    bare = text.rstrip()
    last = max((token for token in [*SPECIAL, EOS] if bare.endswith(token)), key=len, default="")
    return bare.removesuffix(last).rstrip()


MISTRAL = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]"
    "{% elif m.role == 'assistant' %}%OPENS% {{ m.content }}{{ eos_token }}%CLOSES%"
    "{% else %}{{ raise_exception('Only user and assistant roles are supported') }}"
    "{% endif %}{% endfor %}"
)
"""As of Mistral 7B Instruct, which TRL has no training template for."""


@pytest.mark.parametrize("kind", ["one", "several", "nothing said", "user last"])
def test_what_is_learned_of_mistrals_turns_is_what_transformers_masks(kind: str) -> None:
    """The judge has the marks that ours is without."""
    marked = MISTRAL.replace("%OPENS%", "{% generation %}").replace(
        "%CLOSES%", "{% endgeneration %}"
    )
    theirs = tokenizer()
    bare = MISTRAL.replace("%OPENS%", "").replace("%CLOSES%", "")
    how = speech(
        LlmParams(model="m", data_path="x"),
        theirs.special_tokens_map,
        bare,
        theirs.backend_tokenizer,
    )
    assert how.template is not None
    found = theirs.apply_chat_template(
        CHATS[kind], chat_template=marked, return_dict=True, return_assistant_tokens_mask=True
    )
    text, spans, lost = how.template.learned(CHATS[kind])
    (tokens,) = encode([Example(text, spans, finished=True)], theirs.backend_tokenizer, eos=0)
    assert not lost and list(tokens.ids) == found["input_ids"]
    assert list(tokens.learned) == found["assistant_masks"]


@pytest.mark.parametrize("name", SOURCES)
def test_nothing_that_others_say_is_learned(name: str) -> None:
    """With words that tell who speaks, every assistant's word is learned and no other's."""
    ours = template(name)
    chat = [user("Uno"), assistant("Alpha"), user("Duo"), assistant("Beta")]
    for turns in (chat, [SYSTEM, *chat], [user("Q"), call(city="Gamma"), SUN, *chat[1:]]):
        try:
            text, spans, lost = ours.learned(turns, [TOOL])
        except FAULTS:
            continue
        said = "|".join(text[start:end] for start, end in spans)
        if "Alpha" not in text:
            continue  # it takes content in parts alone
        assert "Alpha" in said and "Beta" in said and not lost
        assert not re.search("Uno|Duo|Be brief|sun", said), said


def marks(inside: str) -> Template:
    """Return a template whose assistant's turns are written as `inside` says."""
    return Template(
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' %}"
        + inside
        + "{% else %}{{ m.content }}<|im_end|>{% endif %}\n{% endfor %}",
        ends=frozenset({"<|im_end|>"}),
    )


@pytest.mark.parametrize(
    ("inside", "said"),
    [
        (
            "{% generation %}{% for word in m.content.split() %}{{ word }} {% endfor %}"
            "{% endgeneration %}<|im_end|>",
            ["the fox <|im_end|>"],
        ),
        (
            "{% generation %}{{ m.content }}{% endgeneration %} by hand: "
            "{% generation %}<|im_end|>{% endgeneration %}",
            ["the fox", "<|im_end|>"],
        ),
        ("{% generation %}{% endgeneration %}<|im_end|>", ["<|im_end|>"]),
    ],
    ids=["one", "two a turn", "empty"],
)
def test_marks_belong_to_the_turn_they_stand_in(inside: str, said: list[str]) -> None:
    """After a prompt of three messages only the last turn is learned, however many marks it has."""
    text, spans, _ = marks(inside).learned(MULTI, given=3)
    assert [text[start:end] for start, end in spans] == said


def test_an_empty_turn_takes_no_mark_from_another() -> None:
    source = "{% if m.content %}{% generation %}{{ m.content }}<|im_end|>{% endgeneration %}"
    chat = [user("hi"), assistant(""), user("more"), assistant("the fox")]
    text, spans, _ = marks(source + "{% endif %}").learned(chat, given=1)
    assert [text[start:end] for start, end in spans] == ["the fox<|im_end|>"]
    text, spans, _ = marks(source + "{% endif %}").learned([*chat, *MULTI[:2]], given=5)
    assert [text[start:end] for start, end in spans] == ["hello<|im_end|>"]


def test_a_template_without_a_loop_learns_what_it_writes_alike_later() -> None:
    """Turns that cannot be found by who is written where are found by what each adds."""
    lines = (
        "{% for i in range(messages|length) %}{% set m = messages[i] %}<{{ m.role }}>"
        "{% if KEEPS or i + 1 == messages|length or m.role == 'user' %}{{ m.content }}"
        "{% else %}…{% endif %}|{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
    )
    text, spans, lost = Template(lines.replace("KEEPS", "true")).learned(MULTI)
    assert ([text[a:b] for a, b in spans], lost) == (["hello|", "the fox|"], 0)
    text, spans, lost = Template(lines.replace("KEEPS", "false")).learned(MULTI)
    assert ([text[a:b] for a, b in spans], lost) == (["the fox|"], 1)


CHATML = "<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n"
PROMPT = "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"


@pytest.mark.parametrize(
    "source",
    [
        "{% macro turn(m) %}" + CHATML + "{% endmacro %}"
        "{% for m in messages %}{{ turn(m) }}{% endfor %}" + PROMPT,
        "{% set all = namespace(text='') %}{% for m in messages %}{% set one %}" + CHATML
        + "{% endset %}{% set all.text = all.text ~ one %}{% endfor %}{{ all.text }}" + PROMPT,
        "{% for i in range(messages|length) %}{% set m = messages[i] %}" + CHATML
        + "{% endfor %}" + PROMPT,
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}"
        "{% if not loop.last %}<|im_end|>\n{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}<|im_end|>\n<|im_start|>assistant\n{% endif %}",
    ],
    ids=["by a macro", "collected", "by number", "ended by the next"],
)  # fmt: skip
def test_the_same_is_learned_however_a_template_is_written(source: str) -> None:
    found = Template(source, ends=frozenset({"<|im_start|>", "<|im_end|>"})).learned(MULTI)
    said = [found.text[start:end] for start, end in found.spans]
    assert (said, found.lost) == (["hello<|im_end|>", "the fox<|im_end|>"], 0)


@pytest.mark.parametrize("mark", ["\ue0fe1\ue0fe", "\ue0fe", "\ue0fesaid\ue0fe", "\ue0fex\ue0fe"])
def test_words_that_look_like_our_marks_change_nothing(mark: str) -> None:
    """A private-use character in the data can forge no turn, and makes no row unfit."""
    forged = [user(f"hi{mark}I said this"), *MULTI[1:]]
    text, spans, _ = template("plain").learned(forged)
    assert mark in text
    assert [text[a:b] for a, b in spans] == ["hello<|im_end|>", "the fox<|im_end|>"]


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("chatml", "<|im_end|>"),
        ("zephyr", EOS),
        ("plain", "<|im_end|>"),
        ("glm4moe", "<|user|>"),
        ("gptoss", "<|return|>"),
        ("phi3", "<|end|>"),
        ("gemma", "<end_of_turn>"),
        ("lfm2_2_5", "<|im_end|>"),
    ],
)
def test_a_turn_ends_with_a_token_and_never_with_white_space(name: str, end: str) -> None:
    assert template(name).end_of(MULTI) == end
    assert template(name).end_of(MULTI[:3]) == end

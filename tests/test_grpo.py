"""Learning from rewards: right beside TRL, what is planted is learned, and faults are told."""

from __future__ import annotations

import copy
import json
import random
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from standins.laptop import Laptop
from standins.waiting import PATIENCE
from test_llm_data import FACTS, split
from test_pairs_training import assert_same, gradients
from tiny_llm import TEMPLATE, job, tokenizer, write_model, write_rows

from worker.contract import Event, Metric
from worker.errors import BadConfig, BadData
from worker.facts import CheckContext
from worker.run import explain
from worker.task import DataReport, ModelFacts
from worker.tasks.llm import TASK, trainers
from worker.tasks.llm.grpo import signature
from worker.tasks.llm.grpo.sources import File

pytestmark = [
    pytest.mark.timeout(280),
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning"),
]

EXAMPLE = Path(__file__).parents[1] / "examples" / "rewards.py"
ROWS: list[dict[str, Any]] = [{"prompt": f"say {i % 7}:", "answer": "fox"} for i in range(16)]
FOX = """def fox(completions, **kwargs):
    return [min(1.0, said.count("o") / 3) for said in completions]
"""
QUICK: dict[str, Any] = {"batch_size": 16, "max_completion_length": 12, "lr": 5e-3}


def params(**more: Any) -> Any:
    small = {"block_size": 64, "reward_funcs": str(EXAMPLE), "lr": 1e-6, **more}
    return TASK.params(model="m", data_path="d", trainer="grpo", **small)


def read(rows: list[dict[str, Any]], facts: ModelFacts = FACTS, **more: Any) -> DataReport:
    """Return what the check makes of rows."""
    asked, raw = params(**more), tokenizer().backend_tokenizer
    return trainers.of(asked).inspect(asked, {"train": split(rows)}, facts, raw)


def told(report: DataReport) -> str:
    return "\n".join(f"{found.level} {found.text} {found.fix}" for found in report.findings)


def said_of_settings(about: CheckContext | None = None, **more: Any) -> str:
    found = params(**more).checks(about or CheckContext(facts=FACTS))
    return "\n".join(f"{one.level} {one.text} {one.fix}" for one in found)


def file(folder: Path, text: str, name: str = "mine.py") -> str:
    (folder / name).write_text(text)
    return str(folder / name)


# The check: nothing is imported, nothing is executed.


def test_a_file_is_read_and_not_executed(tmp_path: Path) -> None:
    path = file(tmp_path, f"open({str(tmp_path / 'ran')!r}, 'w')\n{FOX}\ndef helper(x): ...\n")
    assert "ok mine.py: fox · " in said_of_settings(reward_funcs=path)
    assert "sent along and run where it trains" in said_of_settings(reward_funcs=f"{path}:fox")
    assert not (tmp_path / "ran").exists()
    assert params(reward_funcs=f"{path}:fox").files == (path,)


@pytest.mark.parametrize(
    ("text", "function", "said", "fix"),
    [
        ("def f(completions:\n", "", "mine.py line 1 is not Python", ""),
        ("x = 1\n", "", "no public function that takes completions", "def length("),
        (FOX, "fax", "no function fax in mine.py; it has: fox", "mine.py:fox"),
        ("def f(completions): ...\n", "f", "takes no **kwargs", "def f(completions, **kwargs)"),
        ("async def f(completions, **kw): ...\n", "f", "is async", "def, not async"),
        ("def f(c, /, completions, **kw): ...\n", "f", "takes c by place", ""),
        ("from beside import x\n" + FOX, "fox", "imports beside, which lies beside", "one file"),
        ("from . import x\n" + FOX, "fox", "not sent along", "one file"),
    ],
)
def test_what_is_wrong_with_a_file_is_told(
    tmp_path: Path, text: str, function: str, said: str, fix: str
) -> None:
    file(tmp_path, "x = 1", "beside.py")
    path = file(tmp_path, text)
    found = said_of_settings(reward_funcs=f"{path}:{function}" if function else path)
    assert found.startswith("error") and said in found and fix in found


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    def nowhere(flag: str, name: str) -> ModelFacts:
        raise BadConfig(f"no model {name}", fix=f"{flag} OTHER")

    funcs = f"{tmp_path}/none.py, ann/none, {EXAMPLE}:write"
    about = CheckContext(facts=FACTS, other_model=nowhere)
    found = said_of_settings(about, reward_funcs=funcs, batch_size=2, gradient_accumulation=3)
    assert found.count("error") == 4
    assert "none.py: No such file" in found and "no model ann/none --reward-funcs OTHER" in found
    assert "no function write in rewards.py" in found
    assert "6 answers a step, no multiple of --num-generations 8" in found
    assert "--gradient-accumulation 4, or --num-generations 6" in found


@pytest.mark.parametrize(
    ("funcs", "said"),
    [
        ("think_format_rewards", "did you mean think_format_reward?"),
        ("accuracy_reward", "needs the package math-verify"),
        ("a.py,a.py", "names the same twice"),
    ],
)
def test_names_that_are_none(funcs: str, said: str) -> None:
    with pytest.raises(ValueError, match=said.replace("?", r"\?")):
        params(reward_funcs=funcs)


def test_a_rate_that_nobody_chose_is_fast() -> None:
    assert "warn --lr 3e-05, the default, is fast" in said_of_settings(lr=None)
    assert "warn" not in said_of_settings(lr=None, peft=True) + said_of_settings()


def test_weights_are_as_many_as_rewards() -> None:
    assert params(reward_funcs="a:b,c.d", reward_weights="1, 0.5").reward_weights == (1.0, 0.5)
    with pytest.raises(ValueError, match="reward_weights are 1, and reward_funcs 2"):
        params(reward_funcs="a:b,c.d", reward_weights=2)
    with pytest.raises(ValueError, match="needs functions by name"):
        params(reward_weights="1")


SCORES = ModelFacts(
    "ann/judge",
    7_000_000,
    config={"architectures": ["LlamaForSequenceClassification"], "id2label": {"0": "reward"}},
    tokenizer_config={"eos_token": "x"},
)


def test_a_reward_model_has_one_score_a_tokenizer_and_takes_memory() -> None:
    def asked(facts: ModelFacts) -> str:
        about = CheckContext(facts=FACTS, other_model=lambda flag, name: facts)
        return said_of_settings(about, reward_funcs="ann/judge")

    assert asked(SCORES) == "ok reward model ann/judge · 7 M parameters "
    assert "comes without a tokenizer" in asked(replace(SCORES, tokenizer_config={}))
    two = {**SCORES.config, "id2label": {"0": "a", "1": "b"}}
    assert "ann/judge is no reward model" in asked(replace(SCORES, config=two))
    large = replace(SCORES, parameters=10**9, bytes_per_parameter=2.0)
    alone, beside = (
        TASK.footprint(params(), facts, read(ROWS)).expected
        for facts in (FACTS, replace(FACTS, others={"ann/judge": large}))
    )
    assert beside - alone == pytest.approx(2e9)


def test_holding_near_the_beginning_takes_a_copy_without_an_adapter() -> None:
    def bytes_of(**more: Any) -> float:
        return TASK.footprint(params(**more), FACTS, read(ROWS)).expected

    assert bytes_of(grpo_beta=0.1) - bytes_of() == pytest.approx(2 * FACTS.parameters)
    assert bytes_of(grpo_beta=0.1, peft=True) == bytes_of(peft=True)


def test_time_counts_that_answers_are_written() -> None:
    def seconds(**more: Any) -> float:
        return TASK.seconds(params(**more), FACTS, read(ROWS, **more))

    assert seconds() == pytest.approx(16 * 32 * 30 * 1e-3), "steps, tokens, layers"
    assert seconds(max_completion_length=8) == pytest.approx(seconds() / 4)
    assert seconds(num_iterations=2) == seconds(), "the same answers"
    assert TASK.seconds(TASK.params(model="m", data_path="d"), FACTS, DataReport()) == 0


def test_the_check_tells_what_is_asked_and_how_often() -> None:
    report = read([*ROWS, {"prompt": " ", "answer": ""}], num_generations=4, batch_size=4)
    text = told(report)
    assert "16 prompts, 4 answers of up to 32 tokens to each" in text
    assert "4 prompts and 16 answers a step: 4 steps" in text
    assert "1 row is empty and will be left out: line 17" in text
    assert (report.rows, report.steps) == (16, 4)
    assert report.example is not None
    *given, answer = report.example.parts
    assert "".join(part.text for part in given) == "say 0:" and answer.learned
    assert not any(part.learned for part in given)
    assert report.example.note.startswith("4 answers are generated")


def test_conversations_stop_where_the_assistant_is_to_speak() -> None:
    chat = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]
    report = read([{"messages": chat, "answer": "x"}, {"messages": chat[1:], "answer": "x"}])
    assert report.example is not None
    shown = "".join(part.text for part in report.example.parts)
    assert shown.endswith("hi<|im_end|>\n<|im_start|>assistant\n…")
    assert "nobody asks anything" in told(report) and "line 2" in told(report)


def test_columns_that_functions_need_are_looked_for() -> None:
    text = told(read([{"prompt": "a", "answers": "b"}]))
    assert 'rewards.py:right needs "answer", and chats.jsonl has: prompt, answers' in text
    assert "error" not in told(read([{"prompt": "a"}], reward_funcs=f"{EXAMPLE}:short"))


def test_reward_models_that_cannot_read_conversations_are_found() -> None:
    chat = {"prompt": [{"role": "user", "content": "hi"}], "answer": "x"}
    facts = replace(FACTS, others={"ann/judge": SCORES})
    assert "ann/judge has no chat template to read them by" in told(read([chat], facts))
    reads = replace(facts, others={"ann/judge": replace(SCORES, chat_template=TEMPLATE)})
    assert "error" not in told(read([chat], reads)) and "error" not in told(read(ROWS, facts))


def test_answers_leave_prompts_room() -> None:
    with pytest.raises(BadConfig, match="leave prompts no room in 64") as caught:
        read(ROWS, max_completion_length=64)
    assert caught.value.fix.startswith("--max-completion-length 32")


def test_the_example_is_a_file_of_rewards() -> None:
    found = signature.functions(File(str(EXAMPLE), None))
    assert [(one.name, one.columns) for one in found] == [("right", ("answer",)), ("short", ())]
    scope: dict[str, Any] = {}
    exec(EXAMPLE.read_text(), scope)
    said = ["A Fox.", [{"role": "assistant", "content": "a dog"}]]
    assert scope["right"](completions=said, answer=["fox", "fox"], prompts=[]) == [1.0, 0.0]
    assert all(0 < score <= 0.2 for score in scope["short"](completions=said))


# Training.


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("grpo") / "tiny")


def trained(model: Path, here: Path, rewards: str, **settings: Any) -> tuple[Path, list[Event]]:
    data = write_rows(here / "train.jsonl", ROWS)
    how = {"trainer": "grpo", "reward_funcs": rewards, "logging_steps": 1, **QUICK, **settings}
    asked, run, events = job(model, data, here, **how)
    TASK.train(asked, run)
    return run.output, events


def measured(events: list[Event], name: str) -> list[float]:
    return [e.values[name] for e in events if isinstance(e, Metric) and name in e.values]


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["dapo", "grpo", "dr_grpo", "bnpo"])
@pytest.mark.parametrize("beta", [0.0, 0.3])
def test_loss_and_gradients_of_a_step_are_trls(
    folder: Path, tmp_path: Path, kind: str, beta: float
) -> None:
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM
    from trl import GRPOConfig, GRPOTrainer

    from worker.tasks.llm import tokens
    from worker.tasks.llm.grpo.training.objective import Objective, Tokens, advantages
    from worker.tasks.llm.pairs.training.batches import NOBODY, SideBySide, part
    from worker.tasks.llm.pairs.training.scores import likelihoods

    torch.manual_seed(3)
    model = AutoModelForCausalLM.from_pretrained(folder, use_cache=False)
    other = copy.deepcopy(model)
    with torch.no_grad():
        for weights in other.parameters():
            weights.add_(0.02 * torch.randn_like(weights))
    asked = [[5, 6, 7], [5, 6, 7], [8, 9, 10, 11], [8, 9, 10, 11]]
    said = [[20, 21, 22, 0], [23, 24, 0], [25, 26, 27, 28, 29], [30]]
    rewards = torch.tensor([1.0, 0.2, -0.5, 2.0])
    gains = advantages(rewards, 2, "group")

    objective = Objective(beta, 0.1, 0.3, kind, longest=8)
    in_step, ours = sum(map(len, said)), 0.0
    for start in (0, 2):
        pairs = list(zip(asked, said, strict=True))[start : start + 2]
        rows = SideBySide(pad=0).rows([
            part(tokens.Tokens(_ints([*p, *a]), bytes(len(p)) + b"\1" * len(a)), i)
            for i, (p, a) in enumerate(pairs)
        ])  # fmt: skip
        with torch.no_grad():
            before = likelihoods(other, rows, 0.7)
        owners = rows["owners"][:, 1:]
        now = likelihoods(model, rows, 0.7)
        part_gains = gains[start : start + 2]
        tokens_ = Tokens(
            now, before, before if beta else None, owners[owners != NOBODY], part_gains
        )
        outcome = objective(tokens_, 2, in_step)
        outcome.loss.backward()  # type: ignore[no-untyped-call]
        ours += outcome.loss.item()

    args = GRPOConfig(
        str(tmp_path), beta=beta, epsilon=0.1, epsilon_high=0.3, loss_type=kind, temperature=0.7,
        num_generations=2, per_device_train_batch_size=2, gradient_accumulation_steps=2,
        max_completion_length=8, use_cpu=True, report_to=[], bf16=False,
        gradient_checkpointing=False, model_init_kwargs=None,
    )  # fmt: skip
    theirs = GRPOTrainer(
        model=AutoModelForCausalLM.from_pretrained(folder, use_cache=False), args=args,
        reward_funcs=lambda completions, **_: [0.0] * len(completions),
        train_dataset=Dataset.from_list([{"prompt": "a"}] * 4), processing_class=tokenizer(),
    )  # fmt: skip
    theirs.model.train()
    theirs.current_gradient_accumulation_steps = 2
    loss = 0.0
    for start in (0, 2):
        batch = _theirs(asked[start : start + 2], said[start : start + 2])
        batch["advantages"] = gains[start : start + 2]
        batch["num_items_in_batch"] = torch.tensor(in_step)
        both = [torch.cat([batch[f"{s}_{n}"] for s in ("prompt", "completion")], 1)
                for n in ("ids", "mask")]  # fmt: skip
        width = batch["completion_ids"].shape[1]
        logits = other(*both).logits[:, -width - 1 : -1] / 0.7
        logps = logits.log_softmax(-1).gather(2, batch["completion_ids"][..., None])[..., 0]
        batch["old_per_token_logps"] = batch["ref_per_token_logps"] = logps.detach()
        one = theirs.compute_loss(theirs.model, batch)
        one.backward()
        loss += one.item()
    assert ours == pytest.approx(loss, abs=1e-4)
    assert abs(ours) > 1e-3
    assert_same(gradients(theirs.model), gradients(model))


def _ints(ids: list[int]) -> Any:
    from array import array

    return array("i", ids)


def _theirs(asked: list[list[int]], said: list[list[int]]) -> dict[str, Any]:
    """Return a batch as TRL's trainer makes it: prompts end where answers begin."""
    import torch

    wide, long = max(map(len, asked)), max(map(len, said))
    return {
        "prompt_ids": torch.tensor([[0] * (wide - len(p)) + p for p in asked]),
        "prompt_mask": torch.tensor([[0] * (wide - len(p)) + [1] * len(p) for p in asked]),
        "completion_ids": torch.tensor([a + [0] * (long - len(a)) for a in said]),
        "completion_mask": torch.tensor([[1] * len(a) + [0] * (long - len(a)) for a in said]),
    }


def test_tokens_are_drawn_as_often_as_they_are_likely() -> None:
    import torch

    from worker.tasks.llm.grpo.training.writing import Drawn, numbers

    likely = torch.tensor([0.5, 0.0, 0.25, 0.2, 0.05])
    drawn = numbers("42 0 0", 40_000)
    assert torch.equal(drawn, numbers("42 0 0", 40_000))
    assert not torch.equal(drawn[:9], numbers("42 0 1", 9))
    rows = len(drawn)
    draw = Drawn(drawn[:, None], start=3)
    left = draw(torch.zeros(rows, 3, dtype=torch.long), likely.log().expand(rows, -1))
    assert torch.equal(left.isfinite().sum(1), torch.ones(rows, dtype=torch.long))
    often = left.argmax(1).bincount(minlength=5) / rows
    assert often[1] == 0 and torch.allclose(often, likely, atol=0.01)
    edges = Drawn(torch.tensor([[0.0], [1 - 2**-24]]), start=3)
    never = torch.tensor([0.0, 0.4, 0.6, 0.0]).log().expand(2, -1)
    assert edges(torch.zeros(2, 3, dtype=torch.long), never).argmax(1).tolist() == [1, 2]


def test_a_later_epoch_goes_on_amid_it_in_several_processes() -> None:
    from accelerate.data_loader import prepare_data_loader, skip_first_batches
    from torch.utils.data import DataLoader

    from worker.engine.rounds import in_rounds
    from worker.tasks.llm.grpo.training.trainer import PromptRows, Visits

    some: list[Any] = [*range(7)]
    rows = PromptRows(some, 3, times=2)  # as many visits as two processes make
    whole = DataLoader(rows, batch_size=3, sampler=Visits(rows, 42), collate_fn=list)
    loader = prepare_data_loader(whole, num_processes=2, process_index=0, put_on_device=False)
    in_rounds(loader, 2, 0)
    epochs = []
    for epoch in range(2):
        loader.set_epoch(epoch)
        epochs.append(list(loader))
    assert len(loader) == len(epochs[1]) == 3 and epochs[0] != epochs[1]
    anew = prepare_data_loader(whole, num_processes=2, process_index=0, put_on_device=False)
    in_rounds(anew, 2, 0)
    left = skip_first_batches(anew, 1)
    left.set_epoch(1)
    assert list(left) == epochs[1][1:]


@pytest.mark.slow
def test_a_planted_reward_is_learned_from_a_file(folder: Path, tmp_path: Path) -> None:
    output, events = trained(folder, tmp_path, file(tmp_path, FOX), epochs=5)
    found = measured(events, "reward")
    assert mean(found[:3]) < 0.3 and mean(found[-5:]) > 0.9
    assert measured(events, "rewards/fox/mean") == found
    assert {"reward_std", "completions/mean_length", "completions/clipped_ratio"} <= {
        name for e in events if isinstance(e, Metric) for name in e.values
    }
    question = TASK.question(prompt="say 1:", max_new_tokens=12)
    assert TASK.answer(str(output), question).count("o") > 1


@pytest.fixture(scope="module")
def speaks(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that says letters, all alike: an adapter needs one whose output is trained."""
    chance, here = random.Random(0), tmp_path_factory.mktemp("speaks")
    rows = [{"text": f"say {i % 7}:" + "".join(chance.choices("abcdeghlmnrsto", k=14))}
            for i in range(64)]  # fmt: skip
    data = write_rows(here / "texts.jsonl", rows)
    how: dict[str, Any] = {"batch_size": 8, "epochs": 6, "lr": 1e-2, "packing": False}
    asked, run, _ = job(folder, data, here, samples=0, **how)
    TASK.train(asked, run)
    return run.output


@pytest.mark.slow
@pytest.mark.parametrize("more", [{}, {"quantization": "int4", "mixed_precision": "bf16"}])
def test_an_adapter_learns_it_too(speaks: Path, tmp_path: Path, more: dict[str, Any]) -> None:
    how: dict[str, Any] = {"peft": True, "lr": 1e-2, "epochs": 10, **more}
    output, events = trained(speaks, tmp_path, file(tmp_path, FOX), **how)
    found = measured(events, "reward")
    assert mean(found[:3]) < 0.4 and mean(found[-5:]) > 0.5
    assert (output / "adapter_config.json").exists()


@pytest.fixture(scope="module")
def judge(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reward model of our own trainer's, which likes the letter o."""
    chance, here = random.Random(0), tmp_path_factory.mktemp("judge")

    def text(often: str) -> str:
        return "".join(chance.choices("abcdeghlmnrstu " + often * 15, k=12))

    rows = [{"text": f"say {i % 7}:{text('o')}", "rejected_text": f"say {i % 7}:{text('')}"}
            for i in range(96)]  # fmt: skip
    data = write_rows(here / "pairs.jsonl", rows)
    how: dict[str, Any] = {"trainer": "reward", "batch_size": 8, "epochs": 4, "lr": 3e-3}
    asked, run, _ = job(folder, data, here, **how)
    TASK.train(asked, run)
    return run.output


@pytest.mark.slow
def test_a_planted_reward_is_learned_from_a_reward_model(
    folder: Path, judge: Path, tmp_path: Path
) -> None:
    funcs = f"{judge},{file(tmp_path, FOX)}:fox"
    weights = {"reward_weights": "1,0", "epochs": 6}
    _, events = trained(folder, tmp_path, funcs, **weights)
    scores = measured(events, "rewards/output/mean")
    assert scores == pytest.approx(measured(events, "reward"), abs=1e-5), "the file weighs nothing"
    assert mean(scores[-5:]) > mean(scores[:3]) + 2
    often = measured(events, "rewards/fox/mean")
    assert mean(often[:3]) < 0.3 and mean(often[-5:]) > 0.8


@pytest.mark.slow
def test_a_reward_model_scores_as_inference_does(folder: Path, judge: Path) -> None:
    from transformers import AutoModelForSequenceClassification

    from worker.contract import ModelRef
    from worker.engine.source import Source
    from worker.tasks.llm.grpo.prompts import Prompt
    from worker.tasks.llm.grpo.training.rewards import Answers, ModelReward
    from worker.tasks.llm.tokens import Example

    source = Source(ModelRef(name=str(judge)), AutoModelForSequenceClassification)
    prompt = Prompt(Example("say 1:", ()), "say 1:", (), {})
    said = ["ooooo", "the", "a quick brown fox ooo o"]
    scores = ModelReward.of(source, 2)(Answers([prompt] * 3, said, [[1]] * 3), {})
    asked = [TASK.answer(str(judge), TASK.question(prompt="say 1:", completion=c)) for c in said]
    assert scores == pytest.approx(asked, abs=1e-3)


@pytest.mark.slow
def test_it_is_held_near_its_beginning(folder: Path, tmp_path: Path) -> None:
    rewards = file(tmp_path, FOX)
    _, free = trained(folder, tmp_path / "a", rewards, grpo_beta=1e-6, epochs=3)
    _, held = trained(folder, tmp_path / "b", rewards, grpo_beta=5.0, epochs=3)
    assert measured(free, "kl")[0] == pytest.approx(0, abs=1e-4)
    assert mean(measured(free, "kl")[-5:]) > 4 * mean(measured(held, "kl")[-5:])
    how = {"peft": True, "grpo_beta": 0.1, "max_steps": 4, "lr": 3e-2, "lora_dropout": 0.0}
    _, adapter = trained(folder, tmp_path / "c", rewards, **how)
    first, *_, last = measured(adapter, "kl")
    assert first == pytest.approx(0, abs=1e-4) and last > 1e-4, "the adapter is switched off"


@pytest.mark.slow
def test_several_steps_learn_from_the_same_answers(folder: Path, tmp_path: Path) -> None:
    rewards = file(tmp_path, FOX)
    how = {"num_iterations": 2, "epsilon": 0.01, "max_steps": 6, "lr": 2e-2}
    _, events = trained(folder, tmp_path, rewards, **how)
    clipped = measured(events, "clip_ratio")
    assert clipped[0] == 0 and max(clipped[1::2]) > 0.05
    assert len(measured(events, "reward")) == 3, "answers are written for every other step"


@pytest.mark.slow
def test_small_passes_learn_the_same(folder: Path, tmp_path: Path) -> None:
    rewards = file(tmp_path, FOX)
    losses = [
        measured(trained(folder, tmp_path / str(size), rewards, max_steps=4, packing=packing,
                         batch_size=size, gradient_accumulation=16 // size)[1], "grad_norm")
        for size, packing in ((16, True), (4, True), (2, False))
    ]  # fmt: skip
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    assert losses[0] == pytest.approx(losses[2], rel=1e-3)


@pytest.mark.slow
def test_asked_to_stop_it_leaves_a_checkpoint(folder: Path, tmp_path: Path) -> None:
    data = write_rows(tmp_path / "train.jsonl", ROWS)
    how = {"trainer": "grpo", "reward_funcs": file(tmp_path, FOX), **QUICK}
    asked, run, _ = job(folder, data, tmp_path, **how)
    run.stop.set()
    TASK.train(asked, run)
    assert (tmp_path / "work" / "checkpoints" / "checkpoint-1").exists()
    assert not (run.output / "model.safetensors").exists()


@pytest.mark.slow
def test_what_is_held_out_is_judged_and_columns_are_handed_on(folder: Path, tmp_path: Path) -> None:
    text = """
def odd(completions, prompts, completion_ids, answer, trainer_state, log_metric, **kwargs):
    assert set(kwargs) == {"log_extra"} and answer == ["fox"] * len(prompts)
    assert [len(ids) > 0 for ids in completion_ids] == [True] * len(completions)
    log_metric("steps", trainer_state.global_step)
    return [None if i % 2 else True for i in range(len(completions))]

def even(completions, **kwargs):
    return [2 if i % 2 else None for i in range(len(completions))]
"""
    how = {"valid_split": "0.25", "max_steps": 2, "eval_strategy": "steps"}
    _, events = trained(folder, tmp_path, file(tmp_path, text), **how)
    assert measured(events, "rewards/odd/mean") == [1.0, 1.0]
    assert measured(events, "reward") == [1.5, 1.5]
    assert measured(events, "valid_reward")[-1] == 1.5
    assert measured(events, "steps") == [0, 1]


CHAT = """
def polite(completions, prompts, **kwargs):
    assert prompts[0][-1] == {"role": "user", "content": "say 0"}
    return [float("o" in c[0]["content"]) for c in completions]
"""


@pytest.mark.slow
def test_conversations_are_answered_in_turns(folder: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer, GenerationConfig

    rows = [{"prompt": [{"role": "user", "content": "say 0"}]}] * 4
    data = write_rows(tmp_path / "train.jsonl", rows)
    how = {"trainer": "grpo", "reward_funcs": file(tmp_path, CHAT), "max_steps": 2, **QUICK}
    asked, run, _ = job(folder, data, tmp_path, **how)
    TASK.train(asked, run)
    made = AutoTokenizer.from_pretrained(run.output)
    assert made.chat_template
    ends = GenerationConfig.from_pretrained(run.output).eos_token_id
    assert made.convert_tokens_to_ids("<|im_end|>") in ends


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("raise KeyError('solution')", "mine failed (mine.py line 2): KeyError: 'solution'"),
        ("return [1.0]", "mine returned 1 scores for 16 answers"),
        ("return [float('nan')] * len(completions)", "mine returned nan for answer 1"),
        ("return ['a'] * len(completions)", "mine returned 'a' for answer 1"),
        ("return [None] * len(completions)", "gets no score: mine returned None"),
        ("return None", "mine failed"),
        ("import sys; sys.exit(0)", "mine failed (mine.py line 2): SystemExit: 0"),
        ("while True: pass", "mine was not done with 16 answers after 0.2 s"),
        ("import time; time.sleep(600)", "mine was not done with 16 answers after 0.2 s"),
    ],
)
def test_what_a_function_does_wrong_is_told_by_its_name(
    folder: Path, tmp_path: Path, body: str, said: str
) -> None:
    rewards = file(tmp_path, f"def mine(completions, **kwargs):\n    {body}\n")
    seconds = 0.2 if "was not done" in said else PATIENCE
    with pytest.raises(BadData) as caught:
        trained(folder, tmp_path, rewards, reward_seconds=seconds)
    assert said in caught.value.message
    assert explain(caught.value).reason == "bad_data"
    assert threading.active_count() < 20


@pytest.mark.slow
def test_what_cannot_be_imported_is_told_before_the_model_is_loaded(
    folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(BadConfig, match=r"mine.py cannot be imported .*No module named 'nltkk'"):
        trained(folder, tmp_path, file(tmp_path, "import nltkk\n" + FOX))
    with pytest.raises(BadConfig, match=r"nowhere\.at cannot be imported"):
        trained(folder, tmp_path, "nowhere.at:all")


def test_a_file_is_executed_once_whatever_is_taken_of_it(tmp_path: Path) -> None:
    from worker.tasks.llm.grpo.training.rewards import loaded

    ran = tmp_path / "ran"
    begin = f"with open({str(ran)!r}, 'a') as told:\n    told.write('x')\n"
    text = begin + FOX + FOX.replace("def fox", "def again")
    path = file(tmp_path, text)
    rewards = f"{path}:fox,{path}:again"
    data = tmp_path / "train.jsonl"
    asked, run, _ = job(tmp_path, data, tmp_path, trainer="grpo", reward_funcs=rewards)
    own: Any = asked
    assert [one.name for one in loaded(asked, own, run)] == ["fox", "again"]
    assert ran.read_text() == "x"


@pytest.mark.slow
def test_a_function_of_trls_by_its_name(folder: Path, tmp_path: Path) -> None:
    rows = [{"prompt": [{"role": "user", "content": "say 0"}]}] * 4
    data = write_rows(tmp_path / "train.jsonl", rows)
    how = {"trainer": "grpo", "reward_funcs": "think_format_reward", "max_steps": 1, **QUICK}
    asked, run, events = job(folder, data, tmp_path, **how)
    TASK.train(asked, run)
    assert measured(events, "rewards/think_format_reward/mean") == [0.0]


@pytest.mark.slow
def test_a_job_through_a_space_takes_its_file_along(
    hub_server: Any, folder: Path, tmp_path: Path
) -> None:
    from huggingface_hub import snapshot_download
    from transformers import AutoModelForCausalLM

    hub = hub_server()
    hub.api().create_repo("ann/tiny")
    hub.api().upload_folder(repo_id="ann/tiny", folder_path=folder)
    write_rows(tmp_path / "asked.jsonl", ROWS)
    secret = "# canary-of-the-file\n"
    file(tmp_path, secret + FOX, "likes.py")
    laptop = Laptop(tmp_path / "home", hub)
    command = (
        *("llm", "--train", "--trainer", "grpo", "--model", "ann/tiny"),
        *("--data-path", "asked.jsonl", "--reward-funcs", "./likes.py:fox", "--batch-size", "16"),
        *("--max-completion-length", "12", "--model-max-length", "64", "--max-steps", "4"),
        *("--project-name", "liked", "--backend", "spaces-cpu", "--push-to-hub"),
        *("--username", "ann"),
    )
    planned = laptop.run(*command, "--dry-run")
    assert planned.code == 0, planned.err + planned.out
    (line,) = [one for one in planned.out.splitlines() if one.strip().startswith("Files")]
    assert "likes.py, " in line and "a private dataset" in line
    assert not list(hub.api().list_datasets(author="ann"))

    said = laptop.run(*command, "--json")
    assert said.code == 0, said.err + said.out
    assert said.document["state"] == "succeeded" and "reward" in said.document["metrics"]
    output = Path(snapshot_download("ann/liked", token=hub.tokens["ann"], endpoint=hub.endpoint))
    assert AutoModelForCausalLM.from_pretrained(output).num_parameters() > 0
    card = (output / "README.md").read_text()
    assert "valid" not in card and "| reward |" in card
    assert "--reward-funcs likes.py:fox" in card
    assert "say 0:" in card and "after:" in card and "in the data" not in card
    for kept in output.rglob("*"):
        if kept.is_file() and kept.suffix != ".safetensors":
            content = kept.read_bytes()
            assert b"canary-of-the-file" not in content, kept.name
            assert str(tmp_path / "likes.py").encode() not in content, kept.name
    spec = json.loads((output / "hubtrain.json").read_text())
    assert spec["files"]["train"] == ["data/likes.py"] if "files" in spec else True
    repos = list(hub.api().list_datasets(author="ann"))
    assert len(repos) == 2 and all(repo.private for repo in repos)
    again = laptop.run(*command, "--json")
    assert (again.code, again.document["job"]) == (0, said.document["job"])
    file(tmp_path, FOX, "likes.py")
    other = laptop.run(*command, "--json")
    assert other.code == 2 and "already holds" in other.out, "another file makes another job"


@pytest.mark.slow
def test_a_function_that_raises_ends_a_job_without_its_secrets(
    shared_hub: Any, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "tiny").symlink_to(folder)
    write_rows(tmp_path / "asked.jsonl", ROWS)
    raises = "def leak(completions, **kwargs):\n    raise ValueError(os.environ.get('HF_TOKEN'))\n"
    file(tmp_path, f"import os\n\n{raises}", "leaks.py")
    laptop = Laptop(tmp_path / "home", shared_hub)
    said = laptop.run(
        *("llm", "--train", "--trainer", "grpo", "--model", "tiny", "--data-path", "asked.jsonl"),
        *("--reward-funcs", "leaks.py", "--max-completion-length", "4", "--backend", "local"),
        *("--model-max-length", "64", "--project-name", "leaky"),
    )
    assert "reward function leak failed (leaks.py line 4): ValueError: None" in said.out + said.err
    assert "bad_data" in said.out + said.err
    assert said.code not in {0, 2}
    kept = [path.read_text() for path in (tmp_path / "home").rglob("*.jsonl")]
    assert not any(shared_hub.tokens["ann"] in text for text in (said.out, said.err, *kept))

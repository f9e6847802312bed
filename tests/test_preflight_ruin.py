"""What would fail or come to nothing on the rented machine is found before anything is rented."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from standins.localhub import HubServer
from standins.preflight import CHATS, Asking, model, only_error, said

from orchestrator import flow
from orchestrator.jobs.client import Client
from orchestrator.settings.gather import gather
from orchestrator.settings.secrets import refuse_written_down, secrets_of
from worker.contract import ModelRef
from worker.errors import BadConfig
from worker.task import ModelFacts
from worker.tasks.llm import TASK
from worker.tasks.llm.heads.causal import CAUSAL, TEXT_TOO
from worker.tasks.llm.params import LlmParams

Q = {"dtype": "BF16", "shape": [64, 64], "data_offsets": [0, 0]}


@pytest.fixture(scope="module")
def hub(shared_hub: HubServer, tmp_path_factory: pytest.TempPathFactory) -> HubServer:
    """A local Hub with a model in one file and one in two."""
    api = shared_hub.api("ann")
    folder = tmp_path_factory.mktemp("models")
    whole, sharded, cut = (model(folder / name) for name in ("small", "sharded", "cut"))
    names = {f"model.layers.0.self_attn.{n}_proj.weight": "model-1.safetensors" for n in "qkv"}
    index = {"metadata": {}, "weight_map": {**names, "model.norm.weight": "model-2.safetensors"}}
    (sharded / "model.safetensors.index.json").write_text(json.dumps(index))
    header = json.dumps(dict.fromkeys(names, Q)).encode()
    content = len(header).to_bytes(8, "little") + header
    (whole / "model.safetensors").write_bytes(content)
    (sharded / "model.safetensors").rename(sharded / "model-1.safetensors")
    (sharded / "model-2.safetensors").write_bytes(content)
    far = json.dumps({"w": Q | {"data_offsets": [0, 8192]}}).encode()
    (cut / "model.safetensors").write_bytes(len(far).to_bytes(8, "little") + far + bytes(4000))
    (cut / "tokenizer.json").unlink()
    (cut / "tokenizer_config.json").unlink()
    for repo, path in {"ann/small": whole, "ann/sharded": sharded, "ann/cut": cut}.items():
        api.create_repo(repo)
        api.upload_folder(repo_id=repo, folder_path=path)
    return shared_hub


@pytest.fixture
def ask(hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asking:
    """Let somebody with chats have a job checked."""
    return Asking.of(hub, tmp_path, monkeypatch)


def here(ask: Asking, tmp_path: Path, **how: Any) -> Any:
    """Check a job of this machine that asks no Hub."""
    if not (folder := tmp_path / "mine").exists():
        model(folder, 1_000_000)
    return ask(user=None, backend="local", **{"model": str(folder), **how})


# data


def test_rows_without_an_assistant_turn_teach_nothing(ask: Asking, tmp_path: Path) -> None:
    ask.data.write_text('{"messages": [{"role": "user", "content": "anybody there?"}]}\n' * 3)
    wrong = only_error(here(ask, tmp_path))
    assert "no row has an assistant turn" in wrong.text
    assert wrong.fix.startswith("--trainer default")
    assert here(ask, tmp_path, trainer="default").ok
    assert here(ask, tmp_path, completion_only_loss=False).ok


def test_answers_beyond_the_end_of_a_row_teach_nothing(ask: Asking, tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "why? " * 99}, {"role": "assistant", "content": "so"}]
    ask.data.write_text(json.dumps({"messages": turns}) + "\n")
    wrong = only_error(here(ask, tmp_path, block_size=16))
    assert "nothing to learn" in wrong.text.replace("anything", "nothing")
    assert "--block-size" in wrong.fix


def test_one_row_cannot_be_split(ask: Asking, tmp_path: Path) -> None:
    ask.data.write_text(CHATS.splitlines()[0] + "\n")
    wrong = only_error(here(ask, tmp_path, valid_split="0.1"))
    assert "of 1 row none can be held out" in wrong.text and "leave --valid-split out" in wrong.fix
    assert here(ask, tmp_path).ok


# models


@pytest.mark.parametrize(
    "config",
    [
        {"architectures": ["T5ForConditionalGeneration"], "is_encoder_decoder": True},
        {"model_type": "bart", "is_encoder_decoder": True},
        {"architectures": ["BertForSequenceClassification"], "model_type": "bert"},
        {"architectures": ["LlamaForSequenceClassification"], "model_type": "llama"},
        {"architectures": ["RobertaForMaskedLM"], "model_type": "roberta"},
        {"architectures": ["MistralModel"], "model_type": "mistral"},
        {"architectures": ["Qwen2VLForConditionalGeneration"], "model_type": "qwen2_vl"},
        {"model_type": "bert"},
        {"model_type": "xlm-roberta"},
        {"model_type": "t5"},
    ],
)
def test_a_model_that_does_not_go_on_with_a_text(config: dict[str, Any]) -> None:
    with pytest.raises(BadConfig, match="no causal language model") as caught:
        CAUSAL.check_model(ModelFacts("ann/x", 1, config=config))
    assert caught.value.fix.startswith("--model ")


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"model_type": "llama"},
        {"model_type": "something_new"},
        {"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2"},
        {"architectures": ["Qwen3ForCausalLM"]},
        {"architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3"},
        {"architectures": ["ChatGLMModel"], "auto_map": {"AutoModelForCausalLM": "m.M"}},
        {"architectures": ["BertLMHeadModel"], "model_type": "bert", "is_decoder": True},
    ],
)
def test_a_model_that_does(config: dict[str, Any]) -> None:
    CAUSAL.check_model(ModelFacts("ann/x", 1, config=config))


def test_kinds_made_for_pictures_are_those_transformers_loads_for_text() -> None:
    from transformers.models.auto import modeling_auto as auto

    shown = auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
    both = {
        kind
        for kind, name in shown.items()
        if name.endswith("ForConditionalGeneration")
        and kind in auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    }
    assert both == TEXT_TOO


def test_weights_on_the_hub_that_are_cut_short(ask: Asking) -> None:
    wrong = only_error(ask(model="ann/cut", flavor="a10g-small"))
    assert "model.safetensors of ann/cut is cut short: it has 4," in wrong.text
    assert "and says that there are 8,192" in wrong.text


def test_a_classifier_is_refused(ask: Asking, tmp_path: Path) -> None:
    folder = model(tmp_path / "b", architectures=["BertForSequenceClassification"])
    wrong = only_error(here(ask, tmp_path, model=str(folder)))
    assert wrong.topic == "model" and "BertForSequenceClassification" in wrong.text


@pytest.mark.parametrize("name", ["ann/small", "ann/sharded"])
def test_layers_that_are_not_there(ask: Asking, name: str) -> None:
    wrong = only_error(ask(model=name, target_modules="foo"))
    assert "--target-modules foo" in wrong.text and "it has q_proj, k_proj, v_proj" in wrong.text
    assert wrong.fix == "--target-modules all-linear"
    meant = only_error(ask(model=name, target_modules="q_prj,v_porj"))
    assert meant.fix == "--target-modules q_proj,v_proj"
    assert ask(model=name, target_modules="self_attn.q_proj, v_proj").ok
    half = ask(model=name, target_modules="q_proj,foo")
    assert half.ok and "only the others get an adapter" in said(half, "settings")


def test_layers_of_a_folder(ask: Asking, tmp_path: Path) -> None:
    header = json.dumps({"h.0.attn.c_attn.weight": Q | {"shape": [15_625, 64]}}).encode()
    folder = model(tmp_path / "mine")
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    assert "it has c_attn" in only_error(here(ask, tmp_path, target_modules="foo")).text
    assert here(ask, tmp_path, target_modules="c_attn").ok


def test_a_rank_that_no_matrix_exceeds(ask: Asking, tmp_path: Path) -> None:
    header = json.dumps({"h.0.attn.c_attn.weight": Q | {"shape": [15_625, 64]}}).encode()
    folder = model(tmp_path / "mine")
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    low: dict[str, Any] = {"optimizer": "galore_adamw", "peft": False}
    wrong = only_error(here(ask, tmp_path, **low))
    assert "--optim-rank 128" in wrong.text and "has a side of 64 or less" in wrong.text
    assert wrong.fix == "--optim-rank 16, or another --optimizer"
    assert here(ask, tmp_path, **low, optim_rank=63).ok
    wrong = only_error(here(ask, tmp_path, **low, optim_rank=8, optim_target_modules="mlp"))
    assert "no layer of that name" in wrong.text and wrong.fix.endswith("all-linear")
    low["optim_rank"] = 10_000
    assert "no matrix to project" in only_error(ask(model="ann/sharded", **low)).text


def test_an_adapter_is_not_pushed_without_its_base(ask: Asking, tmp_path: Path) -> None:
    folder = model(tmp_path / "mine", 1_000_000)
    push: dict[str, Any] = {
        "model": str(folder),
        "backend": "local",
        "job": {"push_to_hub": True, "project_name": "bot"},
    }
    wrong = only_error(ask(**push))
    assert "only on this disk" in wrong.text and wrong.fix.startswith("--merge-adapter")
    assert ask(**push, merge_adapter=True).ok
    assert ask(**push | {"peft": False}).ok


# settings


def test_fp16_needs_a_gpu(ask: Asking, tmp_path: Path) -> None:
    wrong = only_error(ask(flavor="cpu-upgrade", mixed_precision="fp16"))
    assert "fp16 needs a GPU, and cpu-upgrade has none" in wrong.text
    assert wrong.fix == "--mixed-precision none"
    chosen = ask(flavor=None, mixed_precision="fp16")
    assert chosen.ok and chosen.flavor.accelerators, "the cheapest of those that can"


def test_flash_attention_2_needs_a_gpu(ask: Asking) -> None:
    wrong = only_error(ask(flavor="cpu-upgrade", use_flash_attention_2=True))
    assert "--use-flash-attention-2 needs an NVIDIA GPU, and cpu-upgrade has none" in wrong.text
    assert wrong.fix.startswith("leave it out")
    chosen = ask(flavor=None, use_flash_attention_2=True)
    assert chosen.ok and chosen.flavor.accelerators


def test_settings_of_an_adapter_that_nobody_trains(ask: Asking, tmp_path: Path) -> None:
    full = {"peft": False, "lora_r": 8, "lora_alpha": 16}
    wrong = only_error(here(ask, tmp_path, **full, typed=("lora_r",)))
    assert "--lora-r would do nothing" in wrong.text and wrong.fix.startswith("--peft")
    file = here(ask, tmp_path, **full)
    assert file.ok and "--lora-r, --lora-alpha would do nothing" in said(file, "settings")
    assert not said(here(ask, tmp_path, peft=False), "settings")


def test_a_learning_rate_that_ruins(ask: Asking, tmp_path: Path) -> None:
    assert "--lr 5 is far above" in said(here(ask, tmp_path, lr=5), "settings")
    assert "--lr 3e-05" in said(here(ask, tmp_path, lr=0.1, peft=False), "settings")
    assert not said(here(ask, tmp_path, lr=1e-3), "settings")
    assert not said(here(ask, tmp_path, lr=0.1, optimizer="sgd"), "settings")


def test_no_model_is_the_best_where_nothing_is_validated(ask: Asking) -> None:
    for how in ({"save_strategy": "best"}, {"early_stopping_patience": 2}):
        wrong = only_error(ask(**how))
        assert "nothing is validated" in wrong.text
        assert wrong.fix.startswith("--valid-split 0.05, or")
        assert ask(**how, valid_split="0.5").ok


def test_a_tracker_needs_its_key(ask: Asking) -> None:
    wrong = only_error(ask(log="wandb"))
    assert "WANDB_API_KEY is not set here" in wrong.text
    assert wrong.fix.startswith("export WANDB_API_KEY=")
    assert ask(log="wandb", secrets=("WANDB_API_KEY",)).ok
    assert ask(log="trackio").ok and ask(log="tensorboard").ok
    assert ask(log="wandb", secrets=("WANDB_MODE",)).ok, "offline nobody is asked for a key"


def test_a_trackers_key_is_a_secret_of_the_job(tmp_path: Path) -> None:
    params = LlmParams(model="m", data_path="d", log="wandb")
    plain = LlmParams(model="m", data_path="d")
    nowhere = {"NETRC": str(tmp_path / "none")}
    environ = nowhere | {"WANDB_API_KEY": "canary-key", "WANDB_BASE_URL": "https://w.corp"}
    assert secrets_of(plain, "hf_x", {}, environ) == {"HF_TOKEN": "hf_x"}
    assert secrets_of(params, None, {}, nowhere) == {}
    found = secrets_of(params, "hf_x", {}, environ)
    assert found == {"HF_TOKEN": "hf_x"} | {k: v for k, v in environ.items() if "WANDB" in k}
    assert "canary" not in params.model_dump_json()
    offline = nowhere | {"WANDB_MODE": "offline", "WANDB_PROJECT": "bots"}
    assert secrets_of(params, None, {}, offline) == {
        "WANDB_MODE": "offline",
        "WANDB_PROJECT": "bots",
    }
    space = {"TRACKIO_SPACE_ID": "ann/board"}
    assert secrets_of(params.model_copy(update={"log": "trackio"}), None, {}, space) == space
    file = tmp_path / "netrc"
    file.write_text("machine api.wandb.ai login user password canary-login\n")
    file.chmod(0o600)
    assert secrets_of(params, None, {}, {"NETRC": str(file)}) == {"WANDB_API_KEY": "canary-login"}


# the machine


def test_a_gpu_of_this_machine_is_used(
    ask: Asking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = tmp_path / "bin" / "nvidia-smi"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\necho 'NVIDIA GeForce RTX 4090, 24564'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    report = here(ask, tmp_path)
    assert report.ok, report.findings
    assert "of 25.8 GB on local" in said(report, "memory")
    assert report.flavor.accelerators == 1


def test_no_setting_may_hold_a_secret() -> None:
    """Settings are written into the job, and with it into its record and its repos."""
    secret, said = {"HF_TOKEN": "hf_" + "k" * 30}, {"shed_nice": 5, "shed_path": "/data"}
    refuse_written_down(said, secret, str)
    for held in (secret["HF_TOKEN"], f"/data?token={secret['HF_TOKEN']}", "hf_" + "z" * 34):
        with pytest.raises(BadConfig, match="--shed-path holds a secret") as refused:
            refuse_written_down({**said, "shed_path": held}, secret, lambda name: "--shed-path")
        assert held not in str(refused.value)
        assert "Leave it out" in refused.value.fix
    key = {"WANDB_API_KEY": "canary-of-wandb"}
    refuse_written_down({"model": "canary"}, {}, str, key)
    with pytest.raises(BadConfig, match="HUBTRAIN_MODEL holds a secret"):
        refuse_written_down({"model": key["WANDB_API_KEY"]}, {}, lambda _: "HUBTRAIN_MODEL", key)


def test_a_secret_in_the_environment_of_a_setting_is_refused() -> None:
    token = "hf_" + "q" * 30
    environ = {"HUBTRAIN_MODEL": token, "HF_TOKEN": token}
    job = {"data_path": "rows.jsonl", "project_name": "bot"}
    settings = gather(TASK, None, job, list, environ=environ)
    with pytest.raises(BadConfig, match="HUBTRAIN_MODEL holds a secret") as refused:
        flow.ask(Client(given_token=token), TASK, settings)
    assert token not in str(refused.value)


# a second model


def test_a_reference_model_is_looked_up_and_compared(ask: Asking, tmp_path: Path) -> None:
    pairs = {"prompt": "a", "chosen": " b", "rejected": " c"}
    ask.data.write_text("".join(json.dumps({**pairs, "prompt": f"{i}"}) + "\n" for i in range(99)))
    there = ask(trainer="dpo", model_ref="ann/sharded")
    assert there.ok and "reference ann/sharded @ " in said(there, "model")
    pinned = there.known.pinned["model_ref"]
    assert ask(trainer="dpo", model_ref=pinned).known.pinned == {"model_ref": pinned}
    assert ModelRef.named(pinned) == ModelRef(name="ann/sharded", revision=pinned[-40:])
    base = there.known.model
    assert base and base.revision
    assert ask(trainer="dpo", model=f"{base.name}@{base.revision}").known.model == base
    wrong = only_error(ask(trainer="dpo", model=f"{base.name}@v9"))
    assert f"{base.name} has no revision v9" in wrong.text and wrong.fix == f"--model {base.name}"
    wrong = only_error(ask(trainer="dpo", model_ref="ann/smal"))
    assert "no model ann/smal" in wrong.text and "--model ann" not in wrong.fix
    assert "only_here" in only_error(ask(trainer="dpo", model_ref=str(mine(tmp_path)))).text
    other = here(ask, tmp_path, trainer="dpo", model_ref=str(mine(tmp_path)))
    assert "knows 999 tokens" in said(other, "model") and other.ok
    assert here(ask, tmp_path, trainer="orpo", model_ref="nowhere/at-all").ok


def mine(folder: Path) -> Path:
    """Return a model of another vocabulary that is only on this disk."""
    found = folder / "only_here"
    return found if found.exists() else model(found, 1_000_000, vocab_size=999)

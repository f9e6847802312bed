"""`hubtrain tools merge-llm-adapter`: adapter and base become one, in the base's precision."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from standins.laptop import Laptop
from standins.localhub import HubServer
from tiny_llm import chats, job, write_model, write_rows

ASK = ("llm", "--inference", "-m", "pinned", "--prompt", "say 3")
EXPORT = ("export", "./pinned", "--merged")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a base model in bfloat16 and an adapter trained beside it."""
    import torch
    from transformers import AutoModelForCausalLM

    from worker.tasks.llm import TASK

    folder = tmp_path_factory.mktemp("merging")
    base = write_model(folder / "base")
    AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16).save_pretrained(base)
    data = write_rows(folder / "train.jsonl", chats(8))
    params, run, _ = job(base, data, folder, trainer="sft", peft=True, lr=0.01, max_steps=3)
    TASK.train(params, run)
    run.output.rename(folder / "adapter")
    return folder


@pytest.fixture
def laptop(shared_hub: HubServer, tmp_path: Path) -> Laptop:
    return Laptop(tmp_path / "home", shared_hub)


def merge(laptop: Laptop, *words: str) -> Any:
    return laptop.run("tools", "merge-llm-adapter", *words)


def logits(model: Any) -> Any:
    import torch

    assert next(model.parameters()).dtype == torch.bfloat16
    with torch.no_grad():
        return model(torch.tensor([[5, 6, 7, 8]])).logits


def test_the_merged_model_is_what_peft_makes_of_both(
    laptop: Laptop, made: Path, tmp_path: Path
) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

    done = merge(
        laptop,
        *("--base_model_path", str(made / "base"), "--adapter-path", str(made / "adapter")),
        *("--output-folder", "merged", "--json"),
    )
    assert done.code == 0, done.err
    output = tmp_path / "merged"
    assert done.document["folder"] == "merged" and "in bfloat16" in done.document["model"]
    base = AutoModelForCausalLM.from_pretrained(made / "base", dtype=torch.bfloat16)
    theirs = PeftModel.from_pretrained(base, made / "adapter").merge_and_unload()
    assert logits(theirs).equal(logits(AutoModelForCausalLM.from_pretrained(output)))
    assert not (output / "adapter_config.json").exists()
    ours, own = (AutoTokenizer.from_pretrained(f) for f in (output, made / "adapter"))
    assert ours.chat_template == own.chat_template
    ends = [GenerationConfig.from_pretrained(f).eos_token_id for f in (output, made / "adapter")]
    assert ends[0] == ends[1] != None  # noqa: E711 (both, and something)
    again = merge(laptop, "--adapter-path", str(made / "adapter"), "--output-folder", "merged")
    assert again.code == 2 and "merged is already there" in again.err


@pytest.mark.parametrize("targets", ["q_proj,lm_head", "embed_tokens"])
def test_an_adapter_of_shared_weights_is_merged_into_its_own_layer_alone(
    targets: str, made: Path, tmp_path: Path
) -> None:
    import torch
    from peft import AutoPeftModelForCausalLM
    from transformers import AutoConfig, AutoModelForCausalLM

    from worker.engine.adapter import merged_into
    from worker.tasks.llm import TASK

    tied = write_model(tmp_path / "tied")
    config = AutoConfig.from_pretrained(tied, tie_word_embeddings=True)
    AutoModelForCausalLM.from_config(config).save_pretrained(tied)
    how: dict[str, Any] = {"trainer": "sft", "peft": True, "target_modules": targets}
    folders = {}
    for name, merges in (("adapter", False), ("whole", True)):
        params, run, _ = job(
            tied,
            made / "train.jsonl",
            tmp_path / name,
            **{**how, "lora_dropout": 0.0, "lr": 0.01, "max_steps": 3, "merge_adapter": merges},
        )
        TASK.train(params, run)
        folders[name] = run.output
    beside = AutoPeftModelForCausalLM.from_pretrained(folders["adapter"]).eval()
    trained = AutoModelForCausalLM.from_pretrained(folders["whole"])
    later = merged_into(AutoModelForCausalLM.from_pretrained(tied), folders["adapter"])
    ids = torch.tensor([[5, 6, 7, 8]])
    with torch.no_grad():
        expected = beside(ids).logits
        for whole in (trained, later):
            assert torch.allclose(whole(ids).logits, expected, atol=1e-5)


@pytest.mark.parametrize("multiple", [None, 64])
def test_tokens_that_were_added_in_training_stay_what_they_were(
    multiple: int | None, laptop: Laptop, made: Path, tmp_path: Path
) -> None:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(made / "base")
    tokenizer.add_tokens([f"<|new{i}|>" for i in range(309 - len(tokenizer))])
    base = AutoModelForCausalLM.from_pretrained(made / "base")
    base.resize_token_embeddings(len(tokenizer), pad_to_multiple_of=multiple)
    saved = ["embed_tokens", "lm_head"]
    how = LoraConfig(target_modules=["q_proj"], modules_to_save=saved, task_type="CAUSAL_LM")
    adapted = get_peft_model(base, how).eval()
    for folder in (adapted, tokenizer):
        folder.save_pretrained(tmp_path / "grown")
    done = merge(laptop, "--adapter-path", "grown", "--output-folder", "whole")
    assert done.code == 0, done.err
    whole = AutoModelForCausalLM.from_pretrained(tmp_path / "whole")
    assert len(AutoTokenizer.from_pretrained(tmp_path / "whole")) == 309
    assert whole.config.vocab_size == (320 if multiple else 309)
    ids = torch.tensor([[5, 6, 307, 308]])
    with torch.no_grad():
        assert whole(ids).logits.equal(adapted(ids).logits)


def test_it_is_pushed_to_a_repo_of_its_own(laptop: Laptop, made: Path, tmp_path: Path) -> None:
    from transformers import AutoConfig

    api = laptop.hub.api("ann")
    api.create_repo("ann/tuned")
    api.upload_folder(repo_id="ann/tuned", folder_path=made / "adapter")
    words = ("--adapter-path", "ann/tuned", "--pad-to-multiple-of", "64", "--push-to-hub")
    done = merge(laptop, *words, "--token", laptop.hub.tokens["ann"])
    assert done.code == 0, done.err
    assert f"{laptop.hub.endpoint}/ann/tuned-merged" in done.out
    assert api.model_info("ann/tuned-merged").private
    folder = Path(api.snapshot_download("ann/tuned-merged", local_dir=tmp_path / "back"))
    assert AutoConfig.from_pretrained(folder).vocab_size == 320
    card = (folder / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: transformers\n---\n`ann/tuned`") and "`base`" in card
    said = [file.read_bytes() for file in folder.rglob("*.*") if file.suffix in {".json", ".md"}]
    assert not any(str(made).encode() in text for text in said)
    _is_read_at_a_revision(laptop, tmp_path)
    again = merge(laptop, *words)
    assert again.code == 2 and "ann/tuned-merged is there already" in again.err


def _is_read_at_a_revision(laptop: Laptop, tmp_path: Path) -> None:
    """`ann/tuned@v1` and `ann/tuned-merged@v1` are what v1 was, though nothing is left of it."""
    api = laptop.hub.api("ann")
    for repo in ("ann/tuned", "ann/tuned-merged"):
        api.create_tag(repo, tag="v1")
        api.delete_files(repo, ["*.json", "*.safetensors"])
    token = ("--token", laptop.hub.tokens["ann"])
    folder = ("--output-folder", "at-v1")
    assert merge(laptop, "--adapter-path", "ann/tuned@v1", *folder, *token).code == 0
    for model in ("ann/tuned@v1", "ann/tuned-merged@v1"):
        words = ("--prompt", "say 3", "--max-new-tokens", "4", *token)
        done = laptop.run("llm", "--inference", "-m", model, *words)
        assert done.code == 0, done.err
    done = laptop.run("export", "ann/tuned@v1", "--merged", *token)
    assert done.code == 0 and (tmp_path / "tuned-merged").is_dir(), done.err


def test_the_base_is_taken_at_the_revision_that_the_adapter_names(
    laptop: Laptop, made: Path, tmp_path: Path
) -> None:
    from transformers import AutoModelForCausalLM

    api = laptop.hub.api("ann")
    api.create_repo("ann/moving")
    first = api.upload_folder(repo_id="ann/moving", folder_path=made / "base").oid
    api.delete_files("ann/moving", ["*.safetensors", "config.json"])  # nothing of it is left
    adapter = shutil.copytree(made / "adapter", tmp_path / "pinned")
    config = json.loads((adapter / "adapter_config.json").read_text())
    config |= {"base_model_name_or_path": "ann/moving", "revision": first}
    (adapter / "adapter_config.json").write_text(json.dumps(config))
    done = merge(laptop, "--adapter-path", "pinned", "--output-folder", "from-pinned")
    assert done.code == 0, done.err
    assert f"ann/moving at {first[:7]}" in done.out
    words = ("--base_model_path", str(made / "base"), "--output-folder", "from-base")
    assert merge(laptop, "--adapter-path", str(made / "adapter"), *words).code == 0
    ours, theirs = (
        logits(AutoModelForCausalLM.from_pretrained(tmp_path / folder))
        for folder in ("from-pinned", "from-base")
    )
    assert ours.equal(theirs)
    for command in (ASK, EXPORT):
        done = laptop.run(*command)
        assert done.code == 0, done.err


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("{", "adapter_config.json is not JSON"),
        ('{"base_model_name_or_path": {"a": 1}}', "does not name its base model"),
        ('{"base_model_name_or_path": "BASE", "peft_type": "LORA", "r": "x"}', "is no adapter of"),
        ('{"base_model_name_or_path": "BASE", "task_type": "SEQ_CLS"}', "layer that scores would"),
    ],
)
def test_an_adapter_that_is_none_is_told(
    config: str, said: str, laptop: Laptop, made: Path, tmp_path: Path
) -> None:
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text(config.replace("BASE", str(made / "base")))
    done = merge(laptop, "--adapter-path", str(adapter), "--output-folder", "out")
    assert done.code == 2 and said in done.err, done.err


def test_what_cannot_be_merged_is_said(laptop: Laptop, made: Path) -> None:
    nowhere = merge(laptop, "--adapter-path", str(made / "adapter"))
    assert nowhere.code == 2 and "--output-folder, or --push-to-hub" in nowhere.err
    whole = merge(laptop, "--adapter-path", str(made / "base"), "--output-folder", "x")
    assert whole.code == 2 and "is no adapter: it has no adapter_config.json" in whole.err
    assert merge(laptop).code == 2
    missing = merge(laptop, "--adapter-path", "ann/none", "--output-folder", "y")
    assert missing.code == 2 and "no job, folder or model is called ann/none" in missing.err
    assert "merge-llm-adapter" in laptop.run("tools", "--help").out

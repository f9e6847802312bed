"""Jobs in AutoTrain's dialect, every key and form of its own examples: what each means here.

Three words for a task, with and without a trainer; columns by mapping; null, none and numbers that
YAML takes for texts (`3e-5`); both kinds of place; variables for the account.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from standins.laptop import Laptop, Said
from tiny_llm import chats, write_model, write_rows

pytestmark = [pytest.mark.slow, pytest.mark.timeout(280)]

JOBS = Path(__file__).parent / "autotrain" / "jobs"
EACH = 12


@pytest.fixture(scope="module")
def laptop(shared_hub: Any, tmp_path_factory: pytest.TempPathFactory) -> Laptop:
    folder = tmp_path_factory.mktemp("autotrain")
    api = shared_hub.api("ann")
    api.create_repo("ann/tiny")
    api.upload_folder(repo_id="ann/tiny", folder_path=write_model(folder / "tiny"))
    told = [row["messages"] for row in chats(EACH)]
    worse = [[asked, {**said, "content": "a dog"}] for asked, said in told]
    answers = [
        {"prompt": one[0]["content"], "chosen": one, "rejected": other, "rating": 5}
        for one, other in zip(told, worse, strict=True)
    ]
    tables = {
        "texts": [{"text": f"### Human: say {i}### Assistant: hello"} for i in range(EACH)],
        "chats": [{"messages": one, "category": "Chat"} for one in told],
        "answers": answers,
    }
    for name, rows in tables.items():
        api.create_repo(f"ann/{name}", repo_type="dataset")
        for split in ("train", "test"):
            write_rows(folder / name / f"{split}.jsonl", rows)
        api.upload_folder(repo_id=f"ann/{name}", repo_type="dataset", folder_path=folder / name)
    return Laptop(folder / "home", shared_hub)


def run(laptop: Laptop, name: str, *words: str) -> Said:
    return laptop.run("--config", str(JOBS / name), *words, HF_USERNAME="ann")


def said_in(file: str) -> dict[str, Any]:
    """Return the settings of a file under the names that they have here."""
    job = yaml.safe_load((JOBS / file).read_text(encoding="utf-8"))
    data, hub = job["data"], job["hub"]
    found = {**job["params"], **data["column_mapping"], "data_path": data["path"]}
    found |= {name: data[name] for name in ("train_split", "valid_split", "chat_template")}
    found |= {"model": job["base_model"], "push_to_hub": hub["push_to_hub"]}
    return found | {name: job[name] for name in ("project_name", "backend", "log")}


@pytest.mark.parametrize(
    ("file", "trainer", "notes"),
    [
        ("texts.yml", "sft", ("max_prompt_length",)),
        ("chats.yml", "sft", ()),
        ("answers.yml", "dpo", ()),
        ("odds.yml", "orpo", ()),
        ("odds-here.yml", "orpo", ("unsloth",)),
    ],
)
def test_a_file_of_autotrain_comes_to_a_plan(
    laptop: Laptop, file: str, trainer: str, notes: tuple[str, ...]
) -> None:
    done = run(laptop, file, "--dry-run", "--json")
    assert done.code == 0, done.out + done.err
    report, settings = done.document["report"], done.document["settings"]
    warned = [f["text"] for f in report["findings"] if f["topic"] == "settings"]
    assert sorted(text.split()[1] for text in warned) == sorted(notes), warned
    assert settings["trainer"]["value"] == trainer
    for name, value in said_in(file).items():
        if name in settings:  # what is as by default is not told
            meant = float(value) if name == "lr" else value
            assert settings[name] == {"value": meant, "from": file}, name
    told = {"lr", "epochs", "batch_size", "gradient_accumulation", "data_path", "model"}
    assert told <= {name for name, one in settings.items() if one["from"] == file}
    assert done.document["model"]["repo_id"] == (
        f"ann/of-{Path(file).stem}" if said_in(file)["push_to_hub"] else None
    )


def test_a_file_of_autotrain_trains_to_the_end(laptop: Laptop) -> None:
    done = run(laptop, "answers.yml", "--json")
    assert done.code == 0, done.out + done.err
    assert (done.document["trainer"], done.document["state"]) == ("dpo", "succeeded")
    assert "valid_loss" in done.document["metrics"]
    files = set(laptop.hub.api("ann").list_repo_files("ann/of-answers"))
    assert {"adapter_model.safetensors", "adapter_config.json", "README.md"} <= files
    assert any(name.startswith("runs/") for name in files), "the curves, for tensorboard"

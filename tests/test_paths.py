"""What leaves the laptop: no path, no file that nobody gave, no markup of strangers."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from test_card import trained

from backends.spaces.request import plan
from orchestrator.data.sources import find
from worker.card import card as card_of
from worker.card import write
from worker.contract import DataRef, Machine, Metric, ModelRef, PushTarget
from worker.errors import BadData
from worker.markdown import block, code, text
from worker.paths import spec_for_others, text_for_others
from worker.supervise.push import Parcel
from worker.tasks.llm import TASK
from worker.tasks.llm.params import LlmParams

CANARY = "canary-client"
HOME = f"/home/ann/{CANARY}"
EVIL = "a|b`<img src=x onerror=alert(1)>[x](javascript:y)\n# head"


def test_a_link_that_leads_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    folder, secret = tmp_path / "data", tmp_path / "secret.jsonl"
    (folder / "real").mkdir(parents=True)
    secret.write_text('{"text": "mine"}\n')
    (folder / "train.jsonl").symlink_to(secret)
    params = LlmParams(model="m", data_path=str(folder))
    with pytest.raises(BadData, match=r"train\.jsonl in .* is a link to .*secret\.jsonl, outside"):
        find(params, None)
    (folder / "train.jsonl").unlink()
    (folder / "real" / "rows.jsonl").write_text('{"text": "ours"}\n')
    (folder / "train.jsonl").symlink_to(folder / "real" / "rows.jsonl")
    assert find(params, None).tables["train"].columns() == ("text",)


def test_a_link_given_by_the_user_is_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "train.jsonl").write_text('{"text": "ours"}\n')
    (tmp_path / "link.jsonl").symlink_to(tmp_path / "there" / "train.jsonl")
    (tmp_path / "link").symlink_to(tmp_path / "there")
    for name in ("link.jsonl", "link"):
        params = LlmParams(model="m", data_path=str(tmp_path / name))
        assert find(params, None).tables["train"].columns() == ("text",)


def local(**changes: Any) -> Any:
    """Return a finished job of this machine that pushes."""
    params = TASK.params(
        model=f"{HOME}/base",
        data_path=f"{HOME}/chats.jsonl",
        trainer="sft",
        lm_eval=f"hellaswag,{HOME}/mine.yaml",
    )
    about: dict[str, Any] = {
        "params": params.model_dump(mode="json"),
        "model": ModelRef(name=f"{HOME}/base"),
        "data": DataRef(folder=f"{HOME}/.hubtrain/data", train=("t.parquet",), rows=3),
        "machine": Machine(backend="local"),
        "output": f"{HOME}/bot",
    }
    return trained(**{**about, **changes})


def test_no_path_of_the_users_disk_is_pushed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = local()
    write(job, tmp_path)
    for file in tmp_path.iterdir():
        assert CANARY not in file.read_text(), file.name
    card = (tmp_path / "README.md").read_text()
    assert "`base`" in card and "`chats.jsonl`, 3 rows" in card
    assert "base_model" not in yaml.safe_load(card.split("---")[1])
    assert "hellaswag,mine.yaml" in card
    said = json.dumps({"message": f"{HOME}/base and {HOME}/bot/x and {Path.home()}/y"})
    hidden = text_for_others(said, job.spec)
    assert json.loads(hidden)["message"] == "base and bot/x and ~/y"
    assert text_for_others(f"no {HOME}/mine.yaml", job.spec) == "no mine.yaml"
    monkeypatch.setenv("HUBTRAIN_HOME", f"/srv/{CANARY}/kept")
    where = f"/srv/{CANARY}/kept/runs/k4x/work/checkpoints/checkpoint-6"
    assert text_for_others(where, job.spec) == "hubtrain/runs/k4x/work/checkpoints/checkpoint-6"
    kept = Parcel(tmp_path, job.spec, PushTarget(repo_id="ann/bot"), said)
    assert kept.spec == job.spec


def test_what_is_not_pushed_keeps_its_paths(tmp_path: Path) -> None:
    write(local(push=None), tmp_path)
    assert HOME in (tmp_path / "hubtrain.json").read_text()


def test_a_space_is_told_names_only() -> None:
    params = LlmParams(model="ann/base", data_path=f"{HOME}/chats.jsonl").model_dump(mode="json")
    space = plan(trained(params=params, owner="ann").spec)
    assert CANARY not in "".join(f.content.decode(errors="replace") for f in space.files)
    job = json.loads(next(f.content for f in space.files if f.path == "job.json"))
    assert job["params"]["data_path"] == "chats.jsonl"
    assert spec_for_others(trained().spec) == trained().spec, "names of the Hub stay"


def test_a_script_on_a_space_gets_its_words_as_they_were_typed() -> None:
    words = ["--config", "configs/small/first.yaml", "--cache", "/data/cache"]
    params = {"script_path": "work", "args": words}
    job = trained(task="spacerunner", extras=("worker",), params=params, model=None, owner="ann")
    space = plan(job.spec)
    sent = json.loads(next(f.content for f in space.files if f.path == "job.json"))
    assert sent["params"]["args"] == words


def test_markup_of_strangers_is_text() -> None:
    assert "<img" not in text(EVIL) and "\n" not in text(EVIL)
    assert not re.search(r"(?<!\\)[|`\[]", text(EVIL))
    assert code(EVIL).count("`") == 2 and r"a\|b" in code(EVIL)
    assert block("```\nx").startswith("````\n")


def test_a_card_of_evil_names_is_a_card() -> None:
    # The contract refuses such a name; the card must not count on it.
    metric = Metric.model_construct(step=1, values={EVIL: 1.0, "loss": 2.0}, at=datetime.now(UTC))
    job = trained(
        metric,
        project=EVIL,
        model=ModelRef(name=EVIL, revision="c0ffee"),
        params={"data_path": EVIL, "model": EVIL},
        data=DataRef(repo_id=EVIL, revision="d4ta"),
    )
    card = card_of(job, adapter=False)
    front, body = card.split("---\n", 2)[1:]
    assert yaml.safe_load(front)["base_model"] == EVIL
    bare = re.sub(r"^(`{3,})\w*\n.*?^\1$|`[^`\n]*`", "", body, flags=re.S | re.M)
    assert "<img" not in bare and "\n# head" not in bare
    rows = [line for line in body.splitlines() if line.startswith("| ")]
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 3 for row in rows if "img" in row), rows

"""Whatever stands in a file, the user is told what is wrong with it, and never how we read it.

Each round damages one file and runs the real command. `make campaign` runs many more of them; a
failing round is told by its number.
"""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path
from random import Random
from typing import Any

import pytest
import tiny_vit
import yaml
from fuzzing.damage import as_json, damaged, mangled
from fuzzing.originals import DATA, IMAGES, TEXTS, as_csv, as_lines, as_zip, unzipped
from fuzzing.program import understood
from tiny_llm import chats, write_model

ROOT = Path(__file__).parent.parent
CONFIGS = sorted((ROOT / "tests" / "autotrain").rglob("*.y*ml"))
ENV_FILE = ROOT / "examples" / "falcon" / "falcon.env"

ELSEWHERE = ("--project-name", "bot", "--backend", "local", "--dry-run")
TRAINERS = ("sft", "default", "dpo", "reward", "kto")


def rounds(few: int, many: int = 400) -> pytest.MarkDecorator:
    """Return the rounds of a test: few in the suite, many in the campaign."""
    more = pytest.param(range(few, many), marks=[pytest.mark.campaign, pytest.mark.timeout(3600)])
    return pytest.mark.parametrize("numbers", [range(few), more], ids=["few", "many"])


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_model(folder / "llama")
    tiny_vit.write_model(folder / "vit")
    return folder


@pytest.fixture
def here(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to stand in, without a Hub."""
    monkeypatch.setenv("HUBTRAIN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_TOKEN", "")
    shutil.copytree(models / "llama", tmp_path / "llama")
    shutil.copytree(models / "vit", tmp_path / "vit")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def data_file(name: str, chance: Random) -> bytes:
    """Return a file of rows that is damaged, outside or within what packs it."""
    content = DATA[name]
    within = chance.random() < 0.6
    if name.endswith(".gz") and within:
        return gzip.compress(damaged(gzip.decompress(content), chance))
    if name.endswith((".zip", ".xlsx")) and within:
        files = unzipped(content)
        inner = chance.choice(sorted(files))
        return as_zip({**files, inner: damaged(files[inner], chance)})
    if name.endswith(".json") and within:
        return as_json(mangled(json.loads(content), chance))
    if name.endswith(".jsonl") and within:
        rows = mangled([json.loads(line) for line in content.splitlines()], chance)
        return as_lines(rows) if isinstance(rows, list) else as_json(rows)
    return damaged(content, chance)


@rounds(14)
def test_data(here: Path, numbers: range) -> None:
    for number in numbers:
        chance = Random(number)
        name = chance.choice(sorted(DATA))
        (here / name).write_bytes(data_file(name, chance))
        task = ["llm", "--train", "--trainer", chance.choice(TRAINERS), "--model", "llama"]
        if name.startswith(("table", "book")):
            task = ["tabular", "--train", "--target-columns", "label"]
        held = chance.choice(((), (), ("--valid-split", "0.2"), ("--json",)))
        understood(*task, *ELSEWHERE, "--data-path", name, *held, names=name, case=number)


def model_file(name: str, content: bytes, chance: Random) -> bytes:
    if name.endswith(".safetensors") and chance.random() < 0.7:
        length = int.from_bytes(content[:8], "little")
        header = as_json(mangled(json.loads(content[8 : 8 + length]), chance))
        return len(header).to_bytes(8, "little") + header + content[8 + length :]
    if name.endswith(".json") and chance.random() < 0.7:
        return as_json(mangled(json.loads(content), chance))
    return damaged(content, chance)


def test_what_is_whole_passes(here: Path) -> None:
    """Or all that is damaged might be refused for another reason."""
    (here / "chats.jsonl").write_bytes(as_lines(chats(12)))
    llm = ("llm", "--train", "--trainer", "sft", "--model", "llama")
    assert understood(*llm, *ELSEWHERE, "--data-path", "chats.jsonl").code == 0
    for label in ("a", "b"):
        for number, content in enumerate(IMAGES.values()):
            (here / "pics" / label).mkdir(parents=True, exist_ok=True)
            (here / "pics" / label / f"{number}.png").write_bytes(content)
    image = ("image-classification", "--train", "--model", "vit")
    assert understood(*image, *ELSEWHERE, "--data-path", "pics").code == 0


@rounds(12)
def test_models(here: Path, models: Path, numbers: range) -> None:
    (here / "chats.jsonl").write_bytes(as_lines(chats(12)))
    ways = ((), ("--peft",), ("--peft", "--target-modules", "q_proj"), ("--trainer", "reward"))
    for number in numbers:
        chance = Random(number)
        file = here / "llama" / chance.choice(sorted(p.name for p in (here / "llama").iterdir()))
        whole = file.read_bytes()
        file.write_bytes(model_file(file.name, whole, chance))
        task = ("llm", "--train", "--trainer", "sft", "--model", "llama", *chance.choice(ways))
        understood(*task, *ELSEWHERE, "--data-path", "chats.jsonl", case=f"{number} {file.name}")
        file.write_bytes(whole)


@rounds(6, 200)
def test_images(here: Path, numbers: range) -> None:
    for number in numbers:
        chance = Random(number)
        shutil.rmtree(here / "pics", ignore_errors=True)
        for label in ("a", "b"):
            (here / "pics" / label).mkdir(parents=True)
            for kind, content in IMAGES.items():
                (here / "pics" / label / f"1.{kind}").write_bytes(content)
        kind = chance.choice(sorted(IMAGES))
        (here / "pics" / "a" / f"x.{kind}").write_bytes(damaged(IMAGES[kind], chance))
        if chance.random() < 0.5:
            (here / "pics" / "metadata.csv").write_bytes(
                damaged(b"file_name,label\na/x.png,a\na/1.png,a\nb/1.png,b\n", chance)
            )
        task = ("image-classification", "--train", "--model", "vit")
        understood(*task, *ELSEWHERE, "--data-path", "pics", case=number)


def config(chance: Random) -> tuple[str, bytes]:
    """Return the name and the content of a damaged file of settings."""
    if chance.random() < 0.2:
        return "job.env", damaged(ENV_FILE.read_bytes(), chance)
    content = chance.choice(CONFIGS).read_bytes()
    if chance.random() < 0.5:
        return "job.yml", damaged(content, chance)
    return "job.yml", _as_yaml(mangled(yaml.safe_load(content), chance))


def _as_yaml(tree: Any) -> bytes:
    text: str = yaml.safe_dump(tree, allow_unicode=True)
    return text.encode("utf-8", "surrogatepass")


@rounds(14)
def test_settings(here: Path, numbers: range) -> None:
    (here / "texts.csv").write_bytes(as_csv(TEXTS))
    mine = ("--model", "llama", "--data-path", "texts.csv", "--no-push-to-hub", *ELSEWHERE)
    for number in numbers:
        name, content = config(Random(number))
        (here / name).write_bytes(content)
        understood("config", "--config", name, case=number)
        understood("--config", name, *mine, case=number)

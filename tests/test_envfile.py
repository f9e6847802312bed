"""Jobs as files of variables: that of AutoTrain's guide as it stands, and what a shell reads."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import seeds
from standins.laptop import Laptop, Said
from standins.localhub import HubServer
from standins.preflight import model as stand_in

from orchestrator.settings.envfile import EnvFile, from_shell, is_one, parsed
from orchestrator.settings.files import read
from orchestrator.settings.gather import gather, task_of_file
from orchestrator.settings.job import JobSettings
from orchestrator.settings.layers import Settings
from worker.errors import BadConfig
from worker.placeholders import is_placeholder, stands_for_a_repo
from worker.tasks.llm import TASK

FALCON = seeds.ROOT / "examples" / "falcon"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in a folder of one's own, in which there is no file of rows."""
    monkeypatch.chdir(tmp_path)


def written(tmp_path: Path, text: str, name: str = "job.env") -> EnvFile:
    (tmp_path / name).write_text(text)
    file = read(str(tmp_path / name))
    assert isinstance(file, EnvFile)
    return file


def settings(file: EnvFile, **environ: str) -> Settings:
    return gather(TASK, file, {}, list, environ=environ)


def values(file: EnvFile, **environ: str) -> dict[str, Any]:
    return dict(file.layer(environ).values)


# the file of the guide


def test_the_example_is_the_file_of_the_guide() -> None:
    block = re.search(r"^PROJECT_ID=.*?(?=^```)", seeds.seed("003"), re.M | re.S)
    assert block is not None
    assert block[0] == (FALCON / "falcon.env").read_text()


def test_the_file_of_the_guide_means_what_it_says() -> None:
    file = read(str(FALCON / "falcon.env"))
    assert task_of_file(file) == (TASK, {})
    found = gather(TASK, file, {}, list, environ={})
    params, job = found.of(TASK.params), found.of(JobSettings)
    assert (params.model, params.data_path, params.text_column) == (
        "tiiuae/falcon-7b",
        "timdettmers/openassistant-guanaco",
        "text",
    )
    assert (params.lr, params.epochs, params.batch_size, params.block_size) == (2e-4, 4, 1, 1024)
    assert (params.trainer, params.warmup_ratio, params.weight_decay) == ("sft", 0.1, 0.01)
    assert (params.gradient_accumulation, params.peft, params.quantization) == (4, True, "int4")
    assert (params.mixed_precision, params.lora_dropout) == ("fp16", 0.045)
    assert (params.lora_r, params.lora_alpha) == (16, 32)
    assert (job.project_name, job.push_to_hub, job.repo_id) == (
        "falcon-7b-finetune-example",
        False,
        None,
    )
    assert file.token({}) is None
    assert [note.split(":", 1)[0] for note in found.notes] == [
        "falcon.env line 6",
        *["falcon.env"] * 3,
        "falcon.env line 22",
    ]
    assert "TEXT_COLUMM is read as TEXT_COLUMN, its right spelling" in found.notes[0]


def test_what_the_environment_has_is_taken_where_the_file_asks_for_it() -> None:
    file = read(str(FALCON / "falcon.env"))
    environ = {"PROJECT_ID": "seven", "HF_TOKEN": "hf_mine", "BATCH_SIZE": "9"}
    layer = file.layer(environ)
    assert layer.values["project_name"] == "falcon-7b-finetune-seven"
    assert layer.values["batch_size"] == "1", "the file sets it, as it would in a shell"
    assert file.token(environ) == "hf_mine"
    assert not any("token" in note for note in layer.notes)
    assert "hf_mine" not in str(layer)


def test_rows_of_this_machine_win_over_the_dataset(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("text\na\n")
    layer = read(str(FALCON / "falcon.env")).layer({})
    assert layer.values["data_path"] == "./train.csv"
    assert any("DATA_FILE ./train.csv is here" in note for note in layer.notes)


# as a shell reads it


@pytest.mark.parametrize(
    "line",
    [
        "X=plain",
        "export X=plain",
        "X='single $HOME \"q\"'",
        'X="double ${A} and $B"',
        "X=${A}-${B}",
        "X=${NONE:-default}",
        'X=${NONE:="quoted"}',
        "X=${A:-unused}",
        "X=${EMPTY:-filled}",
        "X=${EMPTY-kept}end",
        'X=a"b c"d',
        "X=2E-4 # a comment",
        'X="a # b"',
        "X=",
        'X="with \\"escapes\\" and \\$A"',
        "X=a\\ b",
    ],
)
def test_a_line_is_read_as_a_shell_reads_it(line: str, tmp_path: Path) -> None:
    environ = {"A": "one", "B": "two words", "EMPTY": "", "HOME": "/nowhere"}
    shell = subprocess.run(
        ["bash", "-c", f'{line}\nprintf %s "$X"'],
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    )
    file = written(tmp_path, f"{line}\n")
    assert file._variables(environ)["X"] == shell.stdout


def test_a_default_that_is_assigned_is_there_for_the_lines_below(tmp_path: Path) -> None:
    file = written(tmp_path, 'MODEL_NAME=${M:="a/b"}\nREPO_ID=$M-tuned\n')
    assert values(file) == {"model": "a/b", "repo_id": "a/b-tuned"}


GROWS = [f"{new}={f'${old}' * 10}\n" for old, new in zip("ABCDEFGH", "BCDEFGHI", strict=True)]
"""Each variable ten times the one before."""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("LR=$(cat /etc/passwd)\n", "job.env line 1 cannot be read"),
        ("LR=`id`\n", "job.env line 1 cannot be read"),
        ("LR=1; rm -rf x\n", "job.env line 1 cannot be read"),
        ("LR=1e-4\nsource other.env\n", "job.env line 2 is not NAME=value; no command is run"),
        (
            "MODEL_NAME=${NOWHERE}\n",
            r"job.env line 1: \$\{NOWHERE\} is used but NOWHERE is not set",
        ),
        ("LR=1 2\n", "job.env line 1 holds a blank outside of quotes"),
        ("MODEL_NAME=$HF_TOKEN\n", "HF_TOKEN is a secret, and MODEL_NAME is written down"),
        ("REPO_ID=${WANDB_API_KEY}\n", "WANDB_API_KEY is a secret, and REPO_ID is written down"),
        (
            "A=canary\nHF_TOKEN=$A\nMODEL_NAME=$A\n",
            "line 3: A is a secret, of which HF_TOKEN is made, and MODEL_NAME is written down",
        ),
        (
            "HF_TOKEN=${B}\nREPO_ID=ann/$A\nB=$A\nA=canary\n",
            "line 2: A is a secret, of which B is made, and REPO_ID is written down",
        ),
        (
            "MODEL_NAME=canary\nWANDB_API_KEY=$MODEL_NAME\n",
            "MODEL_NAME is a secret, of which WANDB_API_KEY is made, and MODEL_NAME is written",
        ),
        ("A=ten_letters\n" + "".join(GROWS), "is longer than 65,536 characters"),
    ],
)
def test_what_cannot_be_read_is_said_with_its_line(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match=said) as caught:
        written(tmp_path, text).layer({"HF_TOKEN": "hf_secret", "B": "canary", "A": "canary"})
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("wrong", [" x", '"', "$(id)", ";"])
@pytest.mark.parametrize("name", ["HF_TOKEN", "WANDB_API_KEY", "OTHER"])
def test_what_cannot_be_read_may_be_a_secret(name: str, wrong: str, tmp_path: Path) -> None:
    with pytest.raises(BadConfig) as said:
        written(tmp_path, f"{name}=canary{wrong} # canary\n").layer({})
    assert "job.env line 1" in str(said.value) and "canary" not in str(said.value)


def test_any_setting_has_a_name_and_a_slip_is_no_other_programs_variable(tmp_path: Path) -> None:
    file = written(tmp_path, "SEED=7\nHUBTRAIN_EPOCHS=2\nTARGET_MODULES=q_proj\nMY_OWN=1\n")
    found = settings(file)
    assert (found.values["seed"], found.values["epochs"]) == ("7", "2")
    assert found.notes == ("job.env: no setting 'my_own'.",)
    assert found.lines == {"seed": 1, "epochs": 2, "target_modules": 3}
    with pytest.raises(BadConfig, match=r"no setting 'epocs'. Did you mean epochs\?"):
        settings(written(tmp_path, "EPOCS=2\n"))


def test_switches_that_exclude_one_another(tmp_path: Path) -> None:
    text = "USE_INT4=False\nUSE_INT8=yes\nUSE_BF16=1\nUSE_FP16=0\n"
    assert values(written(tmp_path, text)) == {"quantization": "int8", "mixed_precision": "bf16"}


def test_a_key_of_a_tracker_is_a_secret_and_no_setting(tmp_path: Path) -> None:
    file = written(tmp_path, "LOG=wandb\nWANDB_API_KEY=canary\n")
    assert file.secrets({}) == {"WANDB_API_KEY": "canary"}
    assert "canary" not in str(file.layer({}))


@pytest.mark.parametrize(
    "token", ["hf_XXX", "hf_xxxxxxxx", "<token>", "your_token", "hf_...", "TOKEN"]
)
def test_what_stands_for_a_token_is_known(token: str) -> None:
    assert is_placeholder(token)


def test_a_token_is_no_placeholder() -> None:
    assert not is_placeholder("hf_" + "aBcDeFgH1" * 4) and not is_placeholder("")
    assert stands_for_a_repo("username/repo_name") and stands_for_a_repo("your-username/x")
    assert not stands_for_a_repo("ann/repo_name")


def test_yaml_is_no_file_of_variables() -> None:
    assert not is_one(b"# A=b\ntask: llm\nmodel: a=b\n") and not is_one(b"")
    assert is_one(b"\n# settings\nexport A=b\n")


def test_the_environment_is_asked_only_where_such_a_file_was_sourced() -> None:
    generic = {"BATCH_SIZE": "3", "DATA_PATH": "/somewhere", "TRAINER": "dpo", "LR": "5"}
    assert from_shell(generic).values == {}
    layer = from_shell({**generic, "AUTOTRAIN_PROJECT_NAME": "p"})
    assert layer.values == {
        "project_name": "p",
        "batch_size": "3",
        "data_path": "/somewhere",
        "trainer": "dpo",
    }


# the steps of the guide


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A local Hub with the model and the dataset of the guide; its 7 billion weights are a hole."""
    folder = tmp_path_factory.mktemp("falcon")
    server = HubServer(folder / "data", orgs=("tiiuae:ann", "timdettmers:ann")).start()
    api = server.api("ann")
    shape = {"hidden_size": 4544, "num_hidden_layers": 32, "num_attention_heads": 71}
    made = stand_in(folder / "model", 7_000_000_000, intermediate_size=18176, **shape)
    api.create_repo("tiiuae/falcon-7b")
    api.upload_folder(repo_id="tiiuae/falcon-7b", folder_path=made)
    rows = "".join(f'{{"text": "human: hello {i} bot: hi nice to meet you"}}\n' for i in range(40))
    where = "timdettmers/openassistant-guanaco"
    api.create_repo(where, repo_type="dataset")
    api.upload_file(
        repo_id=where,
        repo_type="dataset",
        path_in_repo="train.jsonl",
        path_or_fileobj=rows.encode(),
    )
    yield server
    server.stop()


@pytest.fixture
def laptop(hub: HubServer, tmp_path: Path) -> Laptop:
    return Laptop(tmp_path / "home", hub)


def bash(laptop: Laptop, script: str, **more: str) -> Said:
    """Run a line of shell where `hubtrain` is the program under test, without a token."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environ = {**laptop.environ, "PATH": path, **more}
    done = subprocess.run(
        ["bash", "-c", script],
        env=environ,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return Said(done.returncode, done.stdout, done.stderr)


def test_the_steps_of_the_guide(laptop: Laptop, tmp_path: Path) -> None:
    shutil.copytree(FALCON, tmp_path, dirs_exist_ok=True)
    (tmp_path / "train.csv").write_text(
        "text\n" + "".join(f"human: {i} bot: yes\n" for i in range(9))
    )
    first = bash(laptop, "bash autotrain.sh data --json")
    assert first.code == 0, first.out + first.err
    assert (first.document["rows"], first.document["repo_id"].split("-data-")[0]) == (
        9,
        "ann/hubtrain",
    )
    second = bash(laptop, "bash autotrain.sh data")
    assert second.code == 0 and f"{first.document['repo_id']} at" in second.out
    train = bash(
        laptop, "bash autotrain.sh train --backend spaces-a10g --push-to-hub --dry-run --json"
    )
    assert train.code == 0, train.out + train.err
    assert train.document["data"]["repo_id"] == first.document["repo_id"]
    assert train.document["model"]["repo_id"] == "ann/falcon-7b-finetune-example"
    assert train.document["settings"]["lr"] == {"value": 2e-4, "from": "falcon.env"}


def test_a_sourced_file_needs_no_file(laptop: Laptop) -> None:
    words = "--backend spaces-a10g --push-to-hub --dry-run --json"
    script = f"set -a; source {FALCON}/falcon.env; hubtrain llm --train {words}"
    done = bash(laptop, script)
    assert done.code == 0, done.out + done.err
    assert done.document["data"]["repo_id"] == "timdettmers/openassistant-guanaco"
    assert done.document["settings"]["epochs"] == {"value": 4.0, "from": "sourced environment"}
    said = bash(laptop, f"set -a; source {FALCON}/falcon.env; hubtrain data", HF_TOKEN="")
    assert said.code == 0, said.err
    assert "40 training rows" in said.out and "used where it is" in said.out
    assert "HF_TOKEN holds what stands for a token" in said.out


def test_a_token_in_the_file_is_used_and_kept_nowhere(laptop: Laptop, tmp_path: Path) -> None:
    token = laptop.hub.tokens["ann"]
    shown = (FALCON / "falcon.env").read_text().replace('"hf_XXX"', f'"{token}"')
    (tmp_path / "own.env").write_text(shown)
    words = ("--config", "own.env", "--backend", "spaces-a10g", "--push-to-hub", "--dry-run")
    done = laptop.run(*words, HF_TOKEN="")
    assert done.code == 0, done.out + done.err
    assert "ann" in done.out and token not in done.out + done.err
    (tmp_path / "train.csv").write_text("text\nsome words\n")
    sent = laptop.run("data", "--config", "own.env", "--json", HF_TOKEN="")
    assert sent.code == 0 and sent.document["repo_id"].startswith("ann/hubtrain-data-")
    kept = [path for path in laptop.home.rglob("*") if path.is_file()]
    assert all(token.encode() not in path.read_bytes() for path in kept)


def test_data_that_cannot_be_prepared(laptop: Laptop, tmp_path: Path) -> None:
    rows = '{"text": "a"}\nnot json\n{"text": "b"}\nnor this\n'
    (tmp_path / "rows.jsonl").write_text(rows)
    broken = laptop.run("data", "llm", "--data-path", "rows.jsonl")
    assert broken.code == 2 and "line 2" in broken.err
    (tmp_path / "good.jsonl").write_text('{"text": "a"}\n')
    words = ("data", "llm", "--data-path", "good.jsonl")
    nobody = laptop.run(*words, HF_TOKEN="")
    assert nobody.code == 1 and "no Hub token, and a dataset on the Hub needs one" in nobody.err
    theirs = laptop.run(*words, "--username", "nasa")
    assert theirs.code == 1 and "is no member of nasa" in theirs.err
    assert laptop.run("data", "--data-path", "x").err.count("say which task") == 1


@pytest.mark.parametrize("name", ["TRUST_REMOTE_CODE", "REWARD_FUNCS"])
@pytest.mark.parametrize("prefix", ["", "HUBTRAIN_"])
def test_a_file_of_the_web_has_no_code_run(prefix: str, name: str) -> None:
    with pytest.raises(BadConfig, match=f"where {name.lower()} is not taken from"):
        parsed(f"MODEL_NAME=a/b\n{prefix}{name}=x\n".encode(), "a.env", from_web=True)

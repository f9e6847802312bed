"""Scripts of users: what goes along, what they find there, how they end, and what is kept."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path
from typing import Any

import pytest
from standins.laptop import Laptop

from orchestrator.settings.secrets import secrets_of
from worker import secret_variables
from worker.contract import DataRef, Event, Phase
from worker.errors import BadConfig, ProgramFailed
from worker.folder import choose, pack, unpack
from worker.probe import ask_driver
from worker.program import LONGEST, TOO_LONG
from worker.redact import Redactor
from worker.task import Run
from worker.tasks.spacerunner import TASK, requirements
from worker.tasks.spacerunner.params import ScriptParams, words

CANARY = "canary=7f3;b"


def folder_of(there: Path, **files: str) -> Path:
    """Write files, `__` in whose names is a dot, into a new folder."""
    there.mkdir(parents=True)
    for name, text in files.items():
        (there / name.replace("__", ".")).write_text(textwrap.dedent(text), encoding="utf-8")
    return there


def ran(tmp_path: Path, source: Path, **params: Any) -> tuple[Run, list[Event]]:
    """Run a script in this process as the worker's would, and return what it left and told."""
    asked = ScriptParams(script_path=str(source), **params)
    arrived = tmp_path / "sent" / "data"
    arrived.mkdir(parents=True)
    pack(choose(source), arrived / "exp.zip")
    told: list[Event] = []
    run = Run(
        model=None,
        data=DataRef(),
        output=tmp_path / "made",
        work=tmp_path / "work",
        emit=told.append,
        files=DataRef(folder=str(arrived.parent), train=("data/exp.zip",)),
    )
    run.output.mkdir()
    run.work.mkdir()
    TASK.train(asked, run)
    return run, told


def test_a_script_finds_its_files_words_and_variables_and_what_it_leaves_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: Any
) -> None:
    packed = secret_variables.packed({"A": CANARY, "PATH": os.environ["PATH"]})
    monkeypatch.setenv(secret_variables.VARIABLE, packed)
    monkeypatch.setenv("HUBTRAIN_PAGE_KEY", "of the worker")
    source = folder_of(
        tmp_path / "exp",
        script__py="""
            import json, os, sys
            import helper
            found = {"args": sys.argv[1:], "A": os.environ["A"], "helper": helper.WORD}
            found["ours"] = sorted(name for name in os.environ if name.startswith("HUBTRAIN_"))
            out = os.environ["HUBTRAIN_OUTPUT"]
            os.mkdir("output")
            open("output/more.txt", "w").write("more")
            json.dump(found, open(os.path.join(out, "found.json"), "w"))
            sys.stdout.buffer.write(b"\\xff no text\\rhalf a line")
        """,
        helper__py="WORD = 'near'",
    )
    run, told = ran(tmp_path, source, args=["--lr", "1e-4 ; x=y"], max_steps=3)
    found = json.loads((run.output / "found.json").read_text())
    assert found == {
        "args": ["--lr", "1e-4 ; x=y"],
        "A": CANARY,
        "helper": "near",
        "ours": ["HUBTRAIN_MAX_STEPS", "HUBTRAIN_OUTPUT"],
    }
    assert (run.output / "more.txt").read_text() == "more"
    assert [e.name for e in told if isinstance(e, Phase)] == ["running script.py"]
    assert b"\xff no text\rhalf a line" in capfdbinary.readouterr().out


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("sys.exit(3)", "script.py ended with exit code 3."),
        ("raise ValueError('too odd')", "script.py ended with exit code 1."),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "script.py was killed by SIGSEGV."),
        ("raise MemoryError", "script.py ran out of memory: exit code 1."),
    ],
)
def test_a_bad_end_is_told_with_its_code_and_last_words(
    tmp_path: Path, line: str, says: str
) -> None:
    much = f"print('x' * {10 * LONGEST}, end='.' * {LONGEST}, flush=True)"
    text = f"import os, signal, sys\n{much}\nprint('\\nthe last word', flush=True)\n{line}\n"
    with pytest.raises(ProgramFailed) as failed:
        ran(tmp_path, folder_of(tmp_path / "exp", script__py=text))
    assert failed.value.message == says
    assert failed.value.last_words.startswith(f"{TOO_LONG}\nthe last word")
    assert failed.value.reason == ("oom" if "memory" in says else "script_failed")


def test_who_a_script_leaves_behind_is_not_waited_for(tmp_path: Path) -> None:
    source = folder_of(
        tmp_path / "exp",
        script__sh='sleep 50 & echo $! > "$HUBTRAIN_OUTPUT/pid"; echo "$1"',
    )
    run, _ = ran(tmp_path, source, script="script.sh", args="fast")
    left = int((run.output / "pid").read_text())
    os.kill(left, 9)


def wheel(folder: Path) -> Path:
    """Write a package that needs no index."""
    made = folder / "faraway-1.2-py3-none-any.whl"
    with zipfile.ZipFile(made, "w") as packed:
        packed.writestr("faraway.py", "WORD = 'installed'\n")
        about = "Metadata-Version: 2.1\nName: faraway\nVersion: 1.2\n"
        packed.writestr("faraway-1.2.dist-info/METADATA", about)
        how = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        packed.writestr("faraway-1.2.dist-info/WHEEL", how)
        names = ("faraway.py", *(f"faraway-1.2.dist-info/{n}" for n in ("METADATA", "WHEEL")))
        record = "".join(f"{name},,\n" for name in (*names, "faraway-1.2.dist-info/RECORD"))
        packed.writestr("faraway-1.2.dist-info/RECORD", record)
    return made


def test_what_a_script_needs_is_installed_above_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    source = folder_of(
        tmp_path / "exp",
        script__py="""
            import faraway, os, pydantic
            open(os.environ["HUBTRAIN_OUTPUT"] + "/word", "w").write(faraway.WORD)
        """,
        requirements__txt="-torch\n-r more.txt\npydantic  # is there\n",
        more__txt="./faraway-1.2-py3-none-any.whl\n",
    )
    wheel(source)
    run, told = ran(tmp_path, source)
    assert (run.output / "word").read_text() == "installed"
    names = [event.name for event in told if isinstance(event, Phase)]
    assert list(dict.fromkeys(names)) == ["installing", "running script.py"]
    there = subprocess.run([sys.executable, "-c", "import faraway"], check=False, cwd=tmp_path)
    assert there.returncode, "it is installed for the script alone"


def test_requirements_are_read_as_pip_and_autotrain_mean_them(tmp_path: Path) -> None:
    file = tmp_path / "requirements.txt"
    file.write_text(
        "numpy  # fast\n-flash-attn\n-r more.txt\n--no-deps\n./here.whl\ntorch==2.4\n\n"
    )
    found = requirements.read(file)
    assert found is not None
    assert (found.wanted, found.unwanted) == (
        ("numpy", "./here.whl", "torch==2.4"),
        ("flash-attn",),
    )
    assert found.fixes("torch") and not found.fixes("numpy")
    assert "flash-attn" not in found.text and "-r more.txt" in found.text
    file.write_text("numpy\nnot a package!\n")
    with pytest.raises(BadConfig, match="line 2 is no requirement"):
        requirements.read(file)


@pytest.mark.parametrize(
    ("said", "means"),
    [
        ("lr=1e-4;fast", ("--lr", "1e-4", "--fast")),
        ("--lr 1e-4 --name 'two words'", ("--lr", "1e-4", "--name", "two words")),
        (["a=b;c", 3], ("a=b;c", "3")),
        ("", ()),
    ],
)
def test_words_for_a_script(said: Any, means: tuple[str, ...]) -> None:
    assert words(said) == means


@pytest.mark.parametrize(
    ("said", "means"),
    [
        ("A=b;C=d", {"A": "b", "C": "d"}),
        ("URL=a=b;c;d", {"URL": "a=b;c;d"}),
        (["A=x;y", "B=1"], {"A": "x;y", "B": "1"}),
        ("A;B", {"A": None, "B": None}),
        ('["A=b", "C"]', {"A": "b", "C": None}),
        ({"A": 1}, {"A": "1"}),
        ("A=two\nlines", {"A": "two\nlines"}),
    ],
)
def test_variables_for_a_script(said: Any, means: dict[str, str | None]) -> None:
    assert secret_variables.pairs(said) == means


def test_a_variable_that_is_nowhere_is_asked_for() -> None:
    params = ScriptParams(script_path="exp", env=("HERE", "THERE"))
    found = secrets_of(params, None, {"THERE": "2"}, {"HERE": "1"})
    assert secret_variables.unpacked(found) == {"HERE": "1", "THERE": "2"}
    with pytest.raises(BadConfig, match="--env HERE: there is no variable HERE here"):
        secrets_of(params, None, {"THERE": "2"}, {})


def test_devices_are_counted_without_torch(capsys: pytest.CaptureFixture[str]) -> None:
    ask_driver()
    told = json.loads(capsys.readouterr().out.splitlines()[0])
    assert told.keys() <= {"devices", "error"}


@pytest.mark.parametrize("said", ["sk-canary", "=canary", "1canary=x", '{"canary', 7])
def test_a_secret_without_a_name_is_not_shown(said: Any) -> None:
    with pytest.raises(ValueError, match="NAME=VALUE") as refused:
        secret_variables.pairs(said)
    assert "canary" not in str(refused.value)


def test_values_of_variables_are_hidden_whatever_they_are_called() -> None:
    hide = Redactor(
        {
            secret_variables.VARIABLE: secret_variables.packed(
                {"PLAIN": "canary-1", "B": "first-line\nsecond-x"}
            )
        }
    )
    assert hide("a canary-1 b second-x") == "a [secret] b [secret]"


def test_what_goes_along_and_what_does_not(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "exp", script__py="1", __env="S=1", key__pem="-", a__log="")
    (source / ".gitignore").write_text("*.log\n/data/*\n!/data/kept.csv\n")
    for name in (
        "data/big.csv",
        "data/kept.csv",
        "output/old",
        "sub/__pycache__/x.pyc",
        ".git/HEAD",
    ):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text("x")
    odd = source / "sub" / "new\nline;'\\ ü.txt"
    odd.write_text("odd")
    (source / "away").symlink_to("/etc/passwd")
    (source / "again").symlink_to("sub")
    (source / "same.py").symlink_to("script.py")
    os.mkfifo(source / "pipe")
    (source / "run").write_text("#!/bin/sh\n")
    (source / "run").chmod(0o755)
    chosen = choose(source)
    assert set(chosen.files) == {
        *("data/kept.csv", "run", "same.py", "script.py"),
        "sub/new\nline;'\\ ü.txt",
    }
    assert chosen.left_out == {
        "a cache": ("sub/__pycache__/",),
        "a link out of the folder": ("away",),
        "a link to no file": ("again",),
        "in .gitignore": ("a.log", "data/big.csv"),
        "may be secret": (".env", "key.pem"),
        "no file": ("pipe",),
        "of an earlier run": ("output/",),
    }
    pack(chosen, tmp_path / "one.zip")
    pack(choose(source), tmp_path / "two.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    unpack(tmp_path / "one.zip", tmp_path / "there")
    assert (tmp_path / "there" / odd.relative_to(source)).read_text() == "odd"
    assert os.access(tmp_path / "there" / "run", os.X_OK)


def test_what_must_not_be_sent_is_refused(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "exp", script__py="1")
    (source / "notes.py").write_text(f"login('hf_{'a1B2' * 8}')")
    with pytest.raises(BadConfig, match=r"notes\.py in .* holds a Hub token"):
        choose(source)
    (source / "notes.py").unlink()
    with (source / "weights.bin").open("wb") as file:
        file.truncate(6_000_000_000)
    with pytest.raises(BadConfig, match=r"6\.0 GB, of which 5 may go along; .* weights\.bin"):
        choose(source)
    (source / "weights.bin").unlink()
    (source / os.fsdecode(b"caf\xe9.txt")).write_text("")
    with pytest.raises(BadConfig, match="not UTF-8"):
        choose(source)


def test_a_zip_that_leads_out_of_its_folder_stays_inside(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as packed:
        packed.writestr("../../out.txt", "x")
        packed.writestr("/abs.txt", "x")
    unpack(tmp_path / "bad.zip", tmp_path / "a" / "b")
    assert sorted(p.name for p in (tmp_path / "a" / "b").iterdir()) == ["abs.txt", "out.txt"]
    assert not (tmp_path / "out.txt").exists()


def test_ten_thousand_files_are_one(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "exp", script__py="1")
    for number in range(10_000):
        (source / f"{number}.txt").touch()
    chosen = choose(source)
    assert len(chosen.files) == 10_001
    pack(chosen, tmp_path / "exp.zip")
    with zipfile.ZipFile(tmp_path / "exp.zip") as packed:
        assert len(packed.namelist()) == 10_001


@pytest.mark.program("git")
def test_gitignore_is_read_as_git_reads_it(tmp_path: Path) -> None:
    repo = tmp_path / "repo"
    names = [
        *("a.log", "keep.log", "b/a.log", "b/c/a.txt", "b/c/d.txt", "build/x", "sub/build/x"),
        *("deep/x/y/z.dat", "z.dat", "doc/a.pdf", "doc/b/a.pdf", "[x].txt", "x.txt", "#hash"),
        *("with space ", "q1.md", "q22.md", "!bang", "star*.c", "starry.c", "b/only", "only"),
        *("n/o/p/q", "n/q", "t/u.tmp", "t/v/u.tmp", "range5.x", "rangeb.x"),
    ]
    for name in names:
        (repo / name).parent.mkdir(parents=True, exist_ok=True)
        (repo / name).write_text("x")
    rules = [
        *("*.log", "!keep.log", "build/", "/only", "doc/*.pdf", "deep/**/z.dat", r"\#hash"),
        *(r"with\ space\ ", "q?.md", r"\!bang", r"star\*.c", "[[]x].txt", "n/**/q", "# a comment"),
        *("t/**", "!t/u.tmp", "range[0-9].x", "range[!0-9a].x", "", "b/c/*", "[unclosed"),
    ]
    (repo / ".gitignore").write_text("\n".join(rules) + "\n")
    (repo / "b" / ".gitignore").write_text("!a.log\n/c/d.txt\n")

    def git(*args: str) -> str:
        quiet = {
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "PATH": os.environ["PATH"],
        }
        done = subprocess.run(["git", *args], cwd=repo, env=quiet, capture_output=True, check=True)
        return done.stdout.decode()

    git("init", "-q")
    listed = git("ls-files", "-o", "--exclude-standard", "-z").split("\0")
    untracked = {name for name in listed if name and not name.endswith(".gitignore")}
    assert set(choose(repo).files) == untracked
    inner = git("ls-files", "-o", "--exclude-standard", "-z", "b").split("\0")
    below = {n.removeprefix("b/") for n in inner if n and not n.endswith(".gitignore")}
    assert set(choose(repo / "b").files) == below, "the rules above a folder hold in it"


# By the real command line.


@pytest.fixture(scope="module")
def laptop(shared_hub: Any, tmp_path_factory: pytest.TempPathFactory) -> Laptop:
    folder = tmp_path_factory.mktemp("laptop")
    folder_of(
        folder / "exp",
        script__py="""
            import os, sys, time
            print("told", os.environ["A"], os.environ.get("B"), sys.argv[1:], flush=True)
            open(os.environ["HUBTRAIN_OUTPUT"] + "/result.txt", "w").write("42")
            os.kill(os.getpid(), 9) if "--die" in sys.argv else sys.exit("--bad" in sys.argv and 3)
        """,
        __env="S=canary-in-a-file",
    )
    return Laptop(folder / "home", shared_hub)


def asked(project: str, *more: str) -> tuple[str, ...]:
    return ("spacerunner", "--project-name", project, "--script-path", "exp", *more)


def nowhere(laptop: Laptop, *secrets: str) -> None:
    """Look for secrets in all that is kept on the laptop and on the Hub."""
    api, folder = laptop.hub.api(), laptop.home.parent
    kept = {
        str(p): p.read_bytes() for p in folder.rglob("*") if p.is_file() and "exp" not in p.parts
    }
    for kind in ("model", "dataset", "space"):
        for repo in getattr(api, f"list_{kind}s")(author="ann"):
            for name in api.list_repo_files(repo.id, repo_type=kind):
                there = api.hf_hub_download(repo.id, name, repo_type=kind)
                kept[f"{repo.id}/{name}"] = Path(there).read_bytes()
    found = [name for name, held in kept.items() for s in secrets if s.encode() in held]
    assert found == []


@pytest.mark.slow
def test_scripts_on_this_machine(laptop: Laptop) -> None:
    good = laptop.run(*asked("good", "--env", f"A={CANARY}", "--json", "--", "--lr", "1e-4"))
    assert good.code == 0, good.err + good.out
    here = laptop.home.parent / "good"
    assert good.document["model"] == str(here)
    assert {p.name for p in here.iterdir()} == {
        *("result.txt", "hubtrain.json", "events.jsonl", ".hubtrain-output.json")
    }
    assert "told [secret] None ['--lr', '1e-4']" in laptop.run("logs", good.document["job"]).out

    killed = laptop.run(*asked("killed", "--env", "A", "--", "--die"), A=CANARY)
    assert killed.code == 1, killed.err + killed.out
    assert "The script was killed from outside (SIGKILL)" in killed.out
    assert "What it had written lies in" in killed.out
    nowhere(laptop, CANARY, "canary-in-a-file")


@pytest.mark.slow
def test_what_is_wrong_is_said_before_anything_costs(laptop: Laptop) -> None:
    words = ("--env", "A=1", "--backend", "spaces-t4-small", "--json")
    said = laptop.run(*asked("paid", "--script", "main.py", *words))
    assert said.code == 2
    found = {f["topic"]: f for f in said.document["report"]["findings"] if f["level"] == "error"}
    assert found["files"]["text"] == "exp has no main.py."
    assert found["files"]["fix"] == "--script script.py"
    assert "how long it takes is not known" in found["price"]["text"]
    assert found["price"]["fix"].startswith("--max-duration 2h")


@pytest.mark.slow
@pytest.mark.timeout(280)
def test_a_script_on_a_space(laptop: Laptop) -> None:
    """AutoTrain's words, on a Space whose worker is real; what it leaves is in a private repo."""
    words = asked("far", "--env", f"A={CANARY};B=x", "--args", "lr=1e-4;fast")
    where = ("--username", "ann", "--backend", "spaces-cpu-basic", "--json")
    said = laptop.run(*words, *where)
    assert said.code == 0, said.err + said.out
    assert said.document["costing"] is False
    api = laptop.hub.api()
    assert {"result.txt", "hubtrain.json", "events.jsonl"} <= set(api.list_repo_files("ann/far"))
    assert "README.md" not in api.list_repo_files("ann/far")
    manifest = Path(api.hf_hub_download("ann/far", "hubtrain.json")).read_text("utf-8")
    params = json.loads(manifest)["spec"]["params"]
    assert (params["env"], params["script_path"]) == (["A", "B"], "exp")
    assert api.model_info("ann/far").private
    bad = laptop.run(*asked("far-bad", "--env", "A=1", *where[:-1], "--", "--bad"))
    assert bad.code == 1
    assert "Stopped: the script failed (reason: script_failed)" in bad.out
    assert "script.py ended with exit code 3. What it had written is in output/" in bad.out
    assert "| told 1 None ['--bad']" in bad.out
    job = next(job["job"] for job in laptop.jobs() if job["project"] == "far-bad")
    branch = f"hubtrain-{job}"
    kept = api.list_repo_files("ann/far-bad", revision=branch)
    assert "output/result.txt" in kept
    nowhere(laptop, CANARY, "canary-in-a-file")

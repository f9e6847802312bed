"""hubtrain from Python: check a job for free, train, watch, and ask the model.

    python examples/python_api.py --model HuggingFaceTB/SmolLM2-135M-Instruct \
        --data-path chats.jsonl --project-name support-bot

It trains on this machine; `--backend spaces-t4 --push-to-hub` rents one.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

import hubtrain


def main() -> None:
    """Train as the command line says and print what became of it."""
    read = argparse.ArgumentParser(description=__doc__)
    read.add_argument("--model", required=True)
    read.add_argument("--data-path", required=True)
    read.add_argument("--project-name", required=True)
    read.add_argument("--backend", default="local")
    read.add_argument("--push-to-hub", action="store_true")
    read.add_argument("--max-steps", type=int)
    settings = {"peft": True, "block_size": 128, **vars(read.parse_args())}

    report = hubtrain.check("llm-sft", **settings)
    for finding in report.findings:
        print(f"{finding.level:<5} {finding.topic:<8} {finding.text}")
    if not report.ok:
        sys.exit("Nothing was created.")

    job = hubtrain.train("llm-sft", **settings)
    print(f"{job.id} is launched; any Python finds it with hubtrain.job({job.id!r})")
    job.wait(on_update=lambda job: print(f"{job.state} {job.progress:.0%} {job.metrics}"))
    model = job.result()  # raises JobFailed, with the reason, if it did not end well
    print(f"loss {job.metrics['loss']:.3f} after {len(job.history)} measurements, ${job.cost:.2f}")
    print(f"model {model}")

    ask = ["hubtrain", "llm", "--inference", "--model", model, "--prompt", "Where is my parcel?"]
    subprocess.run([sys.executable, "-m", "orchestrator.terminal.cli", *ask[1:]], check=True)


if __name__ == "__main__":
    main()

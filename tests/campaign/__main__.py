"""`python -m campaign`: rounds side by side, each told in one line, and what came of all of them.

python -m campaign 1000                   a thousand rounds of a seed that is told
python -m campaign 1000 --seed 7          … of this one
python -m campaign --seed 7 --round 412   one of them again; its files stay where it says
python -m campaign --places docker        containers, of the engine that answers
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from typing import Any

from campaign.house import ROOT, House
from campaign.planted import AGENT
from campaign.planted import LAPTOP as MARK
from campaign.world import LAPTOP

PLACES = ("spaces", "jobs", "local", "slurm")
SLURM_FOLDER, SLURM_PORT = "/var/tmp/hubtrain-campaign-slurm", 17817

Outcome = dict[str, Any]


def main() -> int:
    """Run a campaign; returns 1 if anything was wrong."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    asked = arguments()
    numbers = [asked.round] if asked.round else list(range(1, asked.rounds + 1))
    folder = Path(tempfile.mkdtemp(prefix="campaign-"))
    places = [place for place in asked.places.split(",") if place]
    print(f"seed {asked.seed} · {len(numbers)} rounds · {', '.join(places)} · {folder}")
    done: list[Outcome] = []
    try:
        for outcome in lanes(folder, asked, numbers, places):
            print(line(outcome), flush=True)
            done.append(outcome)
            if asked.out:
                asked.out.write_text(json.dumps(done, indent=1), "utf-8")
    except KeyboardInterrupt:
        print("stopped")
    print(*table(done), sep="\n")
    wrong = [one for one in done if one["wrong"]]
    lost = len(numbers) - len(done)
    if not wrong and not lost:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if wrong or lost else 0


def arguments() -> argparse.Namespace:
    """Return what was asked for."""
    parser = argparse.ArgumentParser(prog="campaign", description=__doc__)
    parser.add_argument("rounds", nargs="?", type=int, default=100)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10_000))
    parser.add_argument("--round", type=int, help="this one alone")
    parser.add_argument("--places", default=",".join(PLACES), help="backends, with commas")
    parser.add_argument("--fault", default="", help="only those whose name holds this")
    parser.add_argument("--lanes", type=int, default=2, help="rounds side by side")
    parser.add_argument("--out", type=Path, help="file for all outcomes, as JSON")
    return parser.parse_args()


def line(one: Outcome) -> str:
    """Return what is told of a round."""
    struck = "" if one["struck"] else " (it was over before)"
    told = (
        f"{one['number']:5}  {one['place']:7} {one['story']:7} {one['words'] + struck:60}"
        f" {one['state']:10} {one['seconds']:5.1f} s"
    )
    wrong = [f"       ✗ {text}" for text in one["wrong"]]
    again = f"       again: make campaign SEED={one['seed']} ROUND={one['number']}"
    return "\n".join([told, *wrong, *([again] if wrong else [])])


def table(done: list[Outcome]) -> Iterator[str]:
    """Yield how often each fault struck, and how often anything was wrong then."""
    rounds = Counter(one["fault"] for one in done)
    struck = Counter(one["fault"] for one in done if one["struck"])
    wrong = Counter(one["fault"] for one in done if one["wrong"])
    yield f"{'':2}{'fault':34}{'rounds':>8}{'struck':>8}{'wrong':>8}"
    for fault, count in sorted(rounds.items()):
        yield f"{'':2}{fault:34}{count:8}{struck[fault]:8}{wrong[fault]:8}"
    yield f"{'':2}{'all':34}{len(done):8}{struck.total():8}{wrong.total():8}"


def lanes(
    folder: Path, wanted: argparse.Namespace, numbers: list[int], places: list[str]
) -> Iterator[Outcome]:
    """Yield what comes of the rounds, run in worlds side by side."""
    told: Queue[Outcome | None] = Queue()
    count = min(wanted.lanes, len(numbers))
    running = []
    for n in range(count):
        asked = {"seed": wanted.seed, "places": places, "only": wanted.fault}
        asked["numbers"] = numbers[n::count]
        process = lane(folder / f"lane{n}", n, asked)
        running.append(process)
        threading.Thread(target=_read, args=(process, told), daemon=True).start()
    try:
        for _ in range(count):
            while outcome := told.get():
                yield outcome
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(60)


def lane(folder: Path, number: int, asked: dict[str, Any]) -> subprocess.Popen[str]:
    """Build a house and start the lane that lives in it, with a Slurm that is its own."""
    folder.mkdir(parents=True)
    house = House(folder / "house").build()
    port = free_port()
    paths = [house.folder, ROOT / "tests", ROOT]
    environ = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUBTRAIN_"))},
        "HF_ENDPOINT": f"http://127.0.0.1:{port}",
        "HF_HOME": str(folder / "hf"),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        AGENT: LAPTOP,
        MARK: "1",
        "HUBTRAIN_SLURM": f"{SLURM_FOLDER}{number}",
        "HUBTRAIN_SLURM_PORT": str(SLURM_PORT + 10 * number),
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
    }
    words = [sys.executable, "-P", "-m", "campaign.lane"]
    words.append(json.dumps({**asked, "folder": str(folder), "port": port}))
    with (folder / "lane.log").open("w") as log:
        return subprocess.Popen(words, env=environ, stdout=subprocess.PIPE, stderr=log, text=True)


def _read(process: subprocess.Popen[str], told: Queue[Outcome | None]) -> None:
    assert process.stdout is not None
    for text in process.stdout:
        told.put(json.loads(text))
    told.put(None)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())

"""The auditor: what has to be true after every round, asked of the far side and not of hubtrain.

1. Nothing costs and nothing lives, after one `gc`.
2. The records say what the far side says: one machine a job, an end for each, and a success exactly
   where the model is.
3. Every file of a pushed model, and of a checkpoint that is promised, is what the trainer saved.
4. No command showed a traceback, or ended without a word.
"""

from __future__ import annotations

import json
import re
import struct
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from campaign import containers
from campaign.client import Client
from campaign.planted.model import checkpoint_files, files
from campaign.scene import Scene
from campaign.world import OWNER

FINAL = {"succeeded", "failed", "cancelled", "lost"}
DEAD = {"PAUSED", "STOPPED", "SLEEPING", "RUNTIME_ERROR", "BUILD_ERROR", "CONFIG_ERROR"}
ENDED = {"COMPLETED", "CANCELED", "ERROR", "DELETED", "STOPPED"}
LABEL = "hubtrain-job"
LEFT = 130
CODES = {0, 1, 2, LEFT}
"""Exit codes that the documentation promises; a signal's, where it was killed."""

Jobs = list[dict[str, Any]]


def audit(scene: Scene, story: str, ends: frozenset[str]) -> tuple[str, list[str]]:
    """Return how the job ended, and all that is wrong."""
    jobs = scene.jobs()
    wrong = [
        *costs(scene, jobs),
        *contradictions(scene, jobs, story, ends),
        *losses(scene, jobs),
        *words(scene.clients, jobs),
    ]
    mine = [j for j in jobs if story != "resume" or j["resumes"]]
    state = mine[0]["state"] if mine else "no job"
    return str(state), wrong


def costs(scene: Scene, jobs: Jobs) -> Iterator[str]:
    """Yield what still lives or costs."""
    for bill in scene.world.hub.admin("GET", "bills"):
        if bill["costing"]:
            yield f"still costs after gc: {bill['kind']} {bill['name']}"
    for space in spaces(scene):
        stage = (space.get("runtime") or {}).get("stage", "NO_APP_FILE")
        if stage not in DEAD:
            yield f"still lives after gc: Space {space['id']} is {stage}"
    for job in hub_jobs(scene):
        if job["status"]["stage"] not in ENDED:
            yield f"still lives after gc: Job {job['id']} is {job['status']['stage']}"
    for job in jobs:
        if scene.place == containers.PLACE and containers.running(job["job"]):
            yield f"still lives after gc: the container of {job['job']}"
        for pid, line in processes(job["job"]):
            yield f"still lives after gc: process {pid} ({line})"


def contradictions(scene: Scene, jobs: Jobs, story: str, ends: frozenset[str]) -> Iterator[str]:
    """Yield where records say other than the far side, or other than they may."""
    for job in jobs:
        if job["state"] not in FINAL:
            yield f"{job['job']} is {job['state']} for ever"
        if job["costing"]:
            yield f"{job['job']} is said to cost, and nothing does"
        done = job["state"] == "succeeded"
        if done and not model_of(scene, job):
            yield f"{job['job']} succeeded, and there is no model"
        if not done and scene.push and told_success(scene, job["job"]):
            yield f"{job['job']} is {job['state']}, and the Hub has its model"
    machines = [space["id"].rpartition("-")[2] for space in spaces(scene)]
    machines += [
        (job.get("labels") or {}).get(LABEL, "")
        for job in hub_jobs(scene)
        if job["status"]["stage"] != "CANCELED"
    ]
    for job_id in set(machines):
        if job_id and machines.count(job_id) > 1:
            yield f"{job_id} has {machines.count(job_id)} machines"
    yield from _unexpected(jobs, story, ends)


def _unexpected(jobs: Jobs, story: str, ends: frozenset[str]) -> Iterator[str]:
    """Yield what does not follow from the story and its fault."""
    mine = [job for job in jobs if story != "resume" or job["resumes"]]
    states = [job["state"] for job in mine]
    if story == "remove":
        if jobs:
            yield f"removed, and still on record: {states}"
    elif story == "cancel":
        removed = not states and len(ends) > 1  # by a second client
        if states != ["cancelled"] and not removed:
            yield f"cancelled, and on record as {states}"
    elif ends == {"succeeded"}:
        if states.count("succeeded") != 1:
            told = [(job["state"], job["message"]) for job in mine]
            yield f"had to succeed once, and on record as {told}"
    elif not set(states) <= ends:
        yield f"may end as {sorted(ends)}, and on record as {states}"


def losses(scene: Scene, jobs: Jobs) -> Iterator[str]:
    """Yield what of a model or a checkpoint is lost or torn."""
    weights = int(scene.settings["weights"])
    done = [job for job in jobs if job["state"] == "succeeded"]
    for job in jobs:
        there = model_of(scene, job)
        if there:
            yield from _compared(f"the model of {job['job']}", there, files(weights))
        gone_on_with = any(job["job"] in other["resumes"] for other in done)
        if (last := job["resumable"]) and not gone_on_with:  # a model that is there needs none
            wanted = checkpoint_files(weights, last["step"])
            found = checkpoint_at(scene, last)
            yield from _compared(f"checkpoint {last['step']} of {job['job']}", found, wanted)


def _compared(what: str, found: dict[str, bytes], wanted: dict[str, bytes]) -> Iterator[str]:
    for name, content in wanted.items():
        if name not in found:
            yield f"{what} lacks {name}"
        elif found[name] != content:
            yield f"{what}: {name} is not what the trainer saved"
        elif name.endswith(".safetensors") and not opens(found[name]):
            yield f"{what}: {name} cannot be opened"


def opens(content: bytes) -> bool:
    """Whether a file of safetensors is whole, as its format says."""
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    ends = max(about["data_offsets"][1] for about in header.values())
    return bool(len(content) == 8 + length + ends)


def words(clients: Iterable[Client], jobs: Jobs) -> Iterator[str]:
    """Yield what commands said, or did not say, that no user should see."""
    for client in clients:
        said = client.out + client.err
        typed = f"`hubtrain {' '.join(client.words[:2])}`"
        if "Traceback" in said:
            yield f"{typed} showed a traceback: {said[said.index('Traceback') :][-700:]}"
        if (client.code or 0) >= 0 and client.code not in CODES:
            yield f"{typed} exited with {client.code}: {said[-300:]}"
        if client.code == LEFT and not said.strip():
            continue  # Ctrl-C before there was anything to tell
        if client.code in CODES - {0} and not said.strip():
            yield f"{typed} exited with {client.code} without a word"
        if client.code in CODES and "--json" in client.words:
            yield from _document(typed, client)
    for job in jobs:
        if "itself failed" in job["message"]:
            yield f"{job['job']}: {job['message']}"


def _document(typed: str, client: Client) -> Iterator[str]:
    lines = client.out.splitlines()
    try:
        json.loads(lines[-1] if lines else "")
    except ValueError:
        yield f"{typed} --json (exit {client.code}) printed no document: {client.out[-200:]!r}"
    if len(lines) > 1:
        yield f"{typed} --json printed {len(lines)} lines: {client.out[:300]!r}"


# What the far side has.


def spaces(scene: Scene) -> Jobs:
    """Return the Spaces of this round."""
    found = scene.world.ask("/api/spaces", author=OWNER, expand=["runtime", "tags"]) or []
    return [space for space in found if space["id"].startswith(f"{OWNER}/{scene.project}-")]


def hub_jobs(scene: Scene) -> Jobs:
    """Return the Jobs of this round."""
    found = scene.world.ask(f"/api/jobs/{OWNER}") or []
    return [job for job in found if job["id"] not in scene.world.jobs_before]


def processes(job_id: str) -> Iterator[tuple[int, str]]:
    """Yield the processes of this machine that work for a job, by what stands in their command."""
    asked = ["pgrep", "--full", "--list-full", rf"runs/{job_id}|-{job_id}\b"]
    ran = subprocess.run(asked, capture_output=True, text=True, check=False)
    for line in ran.stdout.splitlines():
        pid, _, command = line.partition(" ")
        yield int(pid), command[:200]


def model_of(scene: Scene, job: dict[str, Any]) -> dict[str, bytes]:
    """Return the files of a job's model, where its record says that it is; empty for none."""
    if not job["model"]:
        return {}
    if scene.push:
        return at_hub(scene, f"{OWNER}/{scene.project}", job["commit"] or "main")
    folder = Path(job["model"])
    return (
        {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()} if folder.is_dir() else {}
    )


def told_success(scene: Scene, job_id: str) -> bool:
    """Whether the events beside the model tell that this job has finished."""
    events = scene.world.read(f"/{OWNER}/{scene.project}/resolve/main/events.jsonl") or b""
    told = [json.loads(line) for line in events.decode().splitlines()]
    mine = any(e.get("kind") == "started" and e.get("job_id") == job_id for e in told)
    return mine and any(e.get("kind") == "finished" for e in told)


def at_hub(scene: Scene, repo: str, revision: str, inside: str = "") -> dict[str, bytes]:
    """Return the files of a repo at a revision, below a folder, by their names."""
    tree = scene.world.ask(f"/api/models/{repo}/tree/{revision}", recursive=True) or []
    paths = [f["path"] for f in tree if f["type"] == "file" and f["path"].startswith(inside)]
    read = {p: scene.world.read(f"/{repo}/resolve/{revision}/{p}") for p in paths}
    return {p.rpartition("/")[2]: content for p, content in read.items() if content is not None}


def checkpoint_at(scene: Scene, last: dict[str, Any]) -> dict[str, bytes]:
    """Return the files of a checkpoint that a record promises."""
    where = str(last["where"])
    if on_hub := re.fullmatch(r"(\w+/[\w.-]+)@(\w+)", where):
        repo, commit = on_hub.groups()
        return at_hub(scene, repo, commit, f"checkpoints/checkpoint-{last['step']}/")
    return in_folder(Path(where))


def in_folder(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder, by their names; empty where there is none."""
    found = folder.iterdir() if folder.is_dir() else ()
    return {path.name: path.read_bytes() for path in found if path.is_file()}

"""Mirrors the models and datasets that a job reads, from the Hub to a local Hub.

A model whose weights are large is lent as a small one of the same architecture with random weights;
its tokenizer, its chat template and its code are the real ones.
"""

from __future__ import annotations

import glob
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from orchestrator.localhub import RunningHub
from orchestrator.subprocess_call import call_in_subprocess, command_of, environ_of
from worker.contract import DataRef, ModelRef
from worker.errors import HubtrainError
from worker.hubclient import explained
from worker.hubrepo import sizes_of
from worker.prctl import tied_to_parent

if TYPE_CHECKING:
    from huggingface_hub import HfApi

WHOLE_BYTES = 200e6

DATA_BYTES = 1e9
"""Of data sets above this size, a part of the files is lent."""

SMALL_BYTES = 100e6
"""Files beside the weights that are larger are no part of what loads a model."""

MAKING_SECONDS = 300.0
FETCHING_SECONDS = 6 * 3600.0
"""How long model or data may take to arrive: its user sees that it goes on, and may stop it."""

_WEIGHTS = ("*.safetensors", "*.safetensors.index.json", "*.bin", "*.bin.index.json", "*.pt")
_OTHER_FORMATS = ("*.pth", "*.gguf", "*.onnx", "*.h5", "*.msgpack", "*.ot", "*.tflite", "*/*")


@dataclass(frozen=True, slots=True)
class Lent:
    """What stands in for something of the Hub, under its name."""

    kind: Literal["model", "data"]
    name: str
    what: str
    """In words: `its real weights`, `a small model of its architecture, …`."""

    real: bool
    """Whether it is all that the job would get."""


@dataclass(frozen=True, slots=True)
class Lending:
    """Takes from one Hub and gives to another."""

    source: HfApi
    there: RunningHub
    task: str
    trust_remote_code: bool = False
    whole_bytes: float = WHOLE_BYTES
    """Weights up to this size are lent as they are."""

    goes_on: Callable[[], None] = lambda: None
    """Called again and again while something is fetched or made; what it raises ends that."""

    def model(self, ref: ModelRef) -> Lent:
        """Lend a model. Raises `HubtrainError`."""
        with explained(f"looking at {ref.name}"):
            sizes = sizes_of(
                self.source.model_info(ref.name, revision=ref.revision, files_metadata=True)
            )
        weights = [name for name in sizes if _is(name, _WEIGHTS) and "/" not in name]
        beside = [
            name
            for name, size in sizes.items()
            if size <= SMALL_BYTES and not _is(name, (*_WEIGHTS, *_OTHER_FORMATS))
        ]
        stored = sum(sizes[name] for name in weights)
        if stored > self.whole_bytes and (lent := self._small_one(ref, beside)):
            return lent
        folder = self._fetched(ref.name, ref.revision, [*beside, *weights], "model")
        self._give(ref.name, folder, [*beside, *weights], "model")
        return Lent("model", ref.name, "its real weights", real=True)

    def _small_one(self, ref: ModelRef, beside: Sequence[str]) -> Lent | None:
        """Lend a small model of the same architecture; none where none can be made."""
        folder = self._fetched(ref.name, ref.revision, beside, "model")
        output = self.there.folder / "small" / ref.name.replace("/", "--")
        asked = {
            "folder": str(folder),
            "output": str(output),
            "trust_remote_code": self.trust_remote_code,
            "task": self.task,
        }
        try:
            made = self._in_subprocess("worker.smaller", asked, environ_of(None), MAKING_SECONDS)
        except HubtrainError:
            self.goes_on()
            return None
        self._give(ref.name, folder, [n for n in beside if n != "config.json"], "model")
        self._give(ref.name, output, [p.name for p in output.iterdir()], "model")
        millions = made["parameters"] / 1e6
        what = f"a small model of its architecture, {millions:.1f}M parameters with random weights"
        return Lent("model", ref.name, what, real=False)

    def data(self, ref: DataRef, stored_bytes: float) -> Lent:
        """Lend the files of a data set that a job reads. Raises `HubtrainError`."""
        name = str(ref.repo_id)
        roles = [files for files in (ref.train, ref.valid) if files]
        part = stored_bytes > DATA_BYTES and any(len(files) > 1 for files in roles)
        wanted = [file for files in roles for file in (files[:1] if part else files)]
        folder = self._fetched(name, ref.revision, [*wanted, "README.md"], "dataset")
        self._give(name, folder, [*wanted, "README.md"], "dataset")
        every = sum(map(len, roles))
        what = f"{len(wanted)} of its {every} files" if part else "the files it reads"
        return Lent("data", name, what, real=not part)

    def _fetched(self, name: str, revision: str | None, files: Sequence[str], kind: str) -> Path:
        """Return the folder of the Hub's cache with these files of a repo."""
        asked = {
            "name": name,
            "kind": kind,
            "revision": revision,
            "files": list(files),
            "task": self.task,
        }
        token = self.source.token if isinstance(self.source.token, str) else None
        environ = {**environ_of(token), "HF_ENDPOINT": self.source.endpoint}
        return Path(self._in_subprocess("worker.snapshot", asked, environ, FETCHING_SECONDS))

    def _in_subprocess(
        self, module: str, asked: object, environ: Mapping[str, str], seconds: float
    ) -> Any:
        return call_in_subprocess((module,), asked, environ, seconds, while_waiting=self.goes_on)

    def _give(self, name: str, folder: Path, files: Sequence[str], kind: str) -> None:
        """Upload files to the other Hub, in a process of its own: this one speaks to the first."""
        words = ["upload", name, str(folder), ".", "--repo-type", kind, "--quiet"]
        words += [word for file in files for word in ("--include", glob.escape(file))]
        owner = name.split("/", maxsplit=1)[0]
        done = subprocess.run(
            [*tied_to_parent(), *command_of("huggingface_hub.cli.hf", *words)],
            env=self.there.environ(owner),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
            raise HubtrainError(f"{name} could not be put on the local Hub: {last}")


def owners(names: Sequence[str]) -> Iterator[str]:
    """Yield the accounts whose repos these are, each once."""
    yield from dict.fromkeys(name.split("/")[0] for name in names)


def _is(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)

"""How fast each family of models is trained: rows a second against transformers' own Trainer.

    python -m benchmarks families                      all, on a GPU where there is one
    python -m benchmarks.families --only seq2seq,vlm   only these
    python -m benchmarks.families --device cpu         on one thread of a CPU
    python -m benchmarks.families --rows 80            fewer rows, to see that it runs

Ours, transformers' Trainer with its best settings by hand (sentences: that of their library), and
that Trainer as AutoTrain's defaults had it: rows filled up to the longest there may be, taken as
chance has it, pictures opened by the process that trains. All train the same model of random
weights on the same rows for an epoch, each in a process of its own, with bfloat16 products on a GPU
and in 32 bits on a CPU. There seconds are CPU-seconds, which on one thread are seconds of an idle
machine, whatever else this one does, and the best of two runs counts.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks._families import Asked, Family, Size
from benchmarks._families.pictures import PICTURES
from benchmarks._families.texts import TEXTS
from benchmarks._families.vlm import WORDS_AND_PICTURES
from benchmarks._job import run_on
from benchmarks._model import facts_of
from benchmarks._turns import MEMORY, Child, Clock, in_turn, leave, your_turn
from worker.contract import Event, Progress
from worker.reading import load as load_data
from worker.task import Run

SECONDS = 900
GOALS = {"by_hand": 1.0, "autotrain": 1.3}
RUNS = 2
WARM = 10
"""Steps that are not counted."""

MEMORY_TOLD = ("low", "expected", "high")
"""What is foretold of memory; it is printed behind what torch held at most."""

PROGRAM = "benchmarks.families"
FAMILIES = {family.name: family for family in (*TEXTS, *PICTURES, *WORDS_AND_PICTURES)}
ONE_THREAD = {"OMP_NUM_THREADS": "1"}


def size_of(family: Family, device: str) -> Size:
    """Return how large the family's model and work are on a device."""
    return family.large if device == "cuda" else family.small


def expected(task: Any, params: Any, run: Run) -> dict[str, float]:
    """Return the bytes of memory that the check foretells, before a GPU is rented."""
    from tokenizers import Tokenizer

    facts = facts_of(Path(params.model))
    file = Path(params.model) / "tokenizer.json"
    tokenizer = Tokenizer.from_file(str(file)) if file.is_file() else None
    report = task.inspect(params, load_data(run.data), facts, tokenizer)
    guess = task.footprint(params, facts, report, MEMORY)
    return {"low": guess.low, "expected": guess.expected, "high": guess.high}


def ours(family: Family, model: Path, data: Path, device: str) -> dict[str, float]:
    """Train as the worker does; return rows a second."""
    from worker.engine.lean import leave_out, unused
    from worker.tasks import load

    clock, size, task = Clock(device), size_of(family, device), load(family.task)

    def tell(event: Event) -> None:
        if isinstance(event, Progress) and event.step >= WARM:
            clock.tick(event.step * size.batch)

    params = task.params(
        model=str(model),
        data_path=str(data),
        valid_split=None,
        epochs=1,
        batch_size=size.batch,
        save_strategy="no",
        mixed_precision="bf16" if device == "cuda" else None,
        **family.settings,
        **({"image_square_size": size.shape["side"]} if "side" in size.shape else {}),
    )
    leave_out(unused(params, task.libraries(params)))
    _import_training(family.task)
    your_turn(device)
    run = run_on(model, data, tell)
    task.train(params, run)
    return {"rows": clock.a_second, **clock.memory, **expected(task, params, run)}


def _import_training(task: str) -> None:
    training = import_module(f"worker.tasks.{task}.training")
    if hasattr(training, "__path__"):
        import_module(f"{training.__name__}.train")


def by_hand(
    family: Family, model: Path, data: Path, device: str, *, as_autotrain: bool
) -> dict[str, float]:
    """Train with transformers' own Trainer; return rows a second."""
    if family.task != "vlm":
        sys.modules["bitsandbytes"] = None  # type: ignore[assignment]
    from transformers import TrainerCallback

    clock, size = Clock(device), size_of(family, device)

    class Ticks(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step in {WARM, state.max_steps}:
                clock.tick(state.global_step * size.batch)

    if family.task == "sentence_transformers":
        import sentence_transformers  # noqa: F401
    your_turn(device)
    with tempfile.TemporaryDirectory() as folder:
        arguments = _arguments(folder, size, device, as_autotrain=as_autotrain)
        workers = 0 if device == "cpu" else min(8, (os.cpu_count() or 1) - 1)
        asked = Asked(model, data, arguments, workers, as_autotrain, size.shape)
        trainer = family.trainer(asked)
        trainer.add_callback(Ticks())
        trainer.train()
    return {"rows": clock.a_second, **clock.memory}


def _arguments(folder: str, size: Size, device: str, *, as_autotrain: bool) -> dict[str, Any]:
    best = {"optim": "adamw_torch_fused", "logging_nan_inf_filter": False, "logging_steps": 10}
    autotrain = {"optim": "adamw_torch", "logging_steps": 25}
    return {
        "output_dir": folder,
        "num_train_epochs": 1,
        "per_device_train_batch_size": size.batch,
        "learning_rate": 5e-5,
        "save_strategy": "no",
        "report_to": [],
        "use_cpu": device == "cpu",
        "bf16": device == "cuda",
        "disable_tqdm": True,
        **(autotrain if as_autotrain else best),
    }


CONTESTANTS: dict[str, Callable[..., dict[str, float]]] = {
    "ours": ours,
    "by_hand": lambda *what: by_hand(*what, as_autotrain=False),
    "autotrain": lambda *what: by_hand(*what, as_autotrain=True),
}


def main(
    only: Iterable[str] = (),
    device: str = "",
    contestants: Iterable[str] = (),
    rows: int = 0,
    runs: int = RUNS,
) -> None:
    """Print rows a second of each contestant in each family, and ratios."""
    device = device or _device()
    families = [FAMILIES[name] for name in only or FAMILIES]
    names = [name for name in CONTESTANTS if not contestants or name in contestants]
    with tempfile.TemporaryDirectory() as folder:
        writers = [_written(one, Path(folder), device, rows) for one in families]
        if any(writer.wait() for writer in writers):
            raise SystemExit("a model or its data could not be written")
        asked = [one.name for one in families]
        found = (
            _on_gpu(asked, names, Path(folder))
            if device == "cuda"
            else _on_cpu(asked, names, Path(folder), runs)
        )
        for family, speeds in found:
            _verdict(family, speeds)


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


Found = tuple[str, dict[str, float]]
"""A family, and the rows a second of each contestant."""


def _on_cpu(families: list[str], names: list[str], folder: Path, runs: int) -> Iterable[Found]:
    """Yield the best of some runs, one after another."""
    for family in families:
        best = dict.fromkeys(names, 0.0)
        for _ in range(runs):
            for name in names:
                for _, found in in_turn([_child(family, name, folder, "cpu")]):
                    print(
                        f"  {family} {name}: {found['rows']:,.2f} rows per CPU-second", flush=True
                    )
                    best[name] = max(best[name], found["rows"])
        yield family, best


def _on_gpu(families: list[str], names: list[str], folder: Path) -> Iterable[Found]:
    """Yield what each run came to; all import side by side."""
    children = [_child(family, name, folder, "cuda") for family in families for name in names]
    speeds: dict[str, dict[str, float]] = {family: {} for family in families}
    for called, found in in_turn(children):
        family, name = called.split()
        sizes = (found[kind] / 1e9 for kind in ("allocated", *MEMORY_TOLD) if kind in found)
        held = ", ".join(f"{size:.1f}" for size in sizes)
        print(f"  {family} {name}: {found['rows']:,.1f} rows a second, {held} GB", flush=True)
        speeds[family][name] = found["rows"]
        if name == names[-1]:
            yield family, speeds[family]


def _child(family: str, name: str, folder: Path, device: str) -> Child:
    command = [PROGRAM, "--child", family, name, str(folder), "--device", device]
    return Child(f"{family} {name}", command, {} if device == "cuda" else ONE_THREAD)


def _written(family: Family, folder: Path, device: str, rows: int) -> subprocess.Popen[bytes]:
    """Begin to write a family's model and data, in a process of its own."""
    command = [PROGRAM, "--write", family.name, str(folder), "--device", device]
    command += ["--rows", str(rows)]
    return subprocess.Popen([sys.executable, "-m", *command])


def _write(family: Family, folder: Path, device: str, rows: int) -> None:
    import torch

    torch.manual_seed(0)
    size = size_of(family, device)
    for part in ("model", "data"):
        (folder / family.name / part).mkdir(parents=True)
    family.write_model(folder / family.name / "model", size.shape)
    file = family.write_data(folder / family.name / "data", rows or size.rows)
    file.rename(file.with_stem("train"))


def _train(family: Family, name: str, folder: Path, device: str) -> dict[str, float]:
    (data,) = (folder / family.name / "data").iterdir()
    return CONTESTANTS[name](family, folder / family.name / "model", data, device)


def _verdict(family: str, speeds: dict[str, float]) -> None:
    for name, goal in GOALS.items():
        if speeds.get(name) and speeds.get("ours"):
            ratio = speeds["ours"] / speeds[name]
            verdict = "ok" if ratio >= goal else "TOO SLOW"
            print(
                f"  {family}: ours is {ratio:.2f} of {name} (at least {goal}) {verdict}", flush=True
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", type=lambda text: text.split(","), default=[])
    parser.add_argument("--contestants", type=lambda text: text.split(","), default=[])
    parser.add_argument("--device", choices=["cpu", "cuda"], default="")
    parser.add_argument("--rows", type=int, default=0)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--write", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        leave(_train(FAMILIES[given.child[0]], given.child[1], Path(given.child[2]), given.device))
    elif given.write:
        _write(FAMILIES[given.write[0]], Path(given.write[1]), given.device, given.rows)
    else:
        main(given.only, given.device, given.contestants, given.rows, given.runs)

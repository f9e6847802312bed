"""Names that users bring along from AutoTrain and TRL, and what they mean here.

What AutoTrain had and hubtrain does not have yet is told as that, and never answered with something
else that happens to be spelled alike. Settings that AutoTrain had for one task alone are in that
task's `ignored`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from worker import tasks

SYNONYMS = {
    "4bit": "int4",
    "8bit": "int8",
    "int-4": "int4",
    "int-8": "int8",
    "bfloat16": "bf16",
    "float16": "fp16",
    "half": "fp16",
    "generic": "default",
    "clm": "default",
    "tb": "tensorboard",
    "per-device-train-batch-size": "batch_size",
    "max-seq-length": "model_max_length",
    "max-grad-clip": "max_grad_norm",
    "lr-scheduler-type": "scheduler",
    "num-epochs": "epochs",
    "report-to": "log",
    "output-dir": "project_name",
    "hub-model-id": "repo_id",
    "use-int4": "quantization",
    "use-int8": "quantization",
    "load-in-4bit": "quantization",
    "load-in-8bit": "quantization",
    "fp16": "mixed_precision",
    "bf16": "mixed_precision",
    "use-fp16": "mixed_precision",
    "use-bf16": "mixed_precision",
    "lora-target-modules": "target_modules",
    "num-completions": "num_generations",
}
"""Other words for a setting or a value, with dashes, and what it is called here."""

NOT_YET = {
    "dreambooth": "DreamBooth",
    "automatic-speech-recognition": "speech recognition",
}
"""Commands of AutoTrain, and what its files call a task."""

ELSEWHERE = {"api": "AutoTrain's API is part of `hubtrain app`."}
"""Commands of AutoTrain, and where what they did is found."""


PLACES_NOT_YET = {
    "ep": "Inference Endpoints",
    "nvcf": "NVIDIA Cloud Functions",
    "dgx": "NVIDIA DGX Cloud",
}
"""Where AutoTrain and the Hub can run a job, by how `--backend` begins there."""


def not_yet(name: str, called: Collection[str] | None = None) -> str | None:
    """Return what AutoTrain did under this command or task; none if it is nothing of the kind.

    What follows a colon, as in `st:pair`, is the variant of a task. What is
    `called` so is there: the tasks of hubtrain, by all their names.
    """
    wanted = name.split(":", maxsplit=1)[0].replace("_", "-")
    there = {*(_called() if called is None else called)}
    stems = (stem for stem in NOT_YET if wanted == stem or wanted.startswith(f"{stem}-"))
    return next((NOT_YET[stem] for stem in stems if not {stem, wanted} & there), None)


def _called() -> Iterator[str]:
    for task in map(tasks.load, tasks.names()):
        yield from (tasks.typed(task.name), *task.also_called)

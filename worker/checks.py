"""What there is to say of settings that groups of `worker.common` share, each allowed by itself.

Groups yield these from their `checks`. Nothing here knows a task.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from worker.facts import CheckContext
from worker.finding import Finding
from worker.nearest import nearest
from worker.shorten import some

if TYPE_CHECKING:
    from worker.common import Lora, Watching
    from worker.params import Params, Setting

UNSCALED = frozenset({"sgd"})
"""Optimizers that do not scale their steps: with these a large rate may be right."""

EVERY_LINEAR = "all-linear"
"""All layers but embeddings and the output, as peft says it."""

SHOWN = 12
"""Layers that are named before it is said how many more there are."""


def too_fast(
    lr: float | None, most: float, what: str, usual: float, optimizer: str
) -> Iterator[Finding]:
    """Yield a learning rate far above `most`, the largest plausible one."""
    if lr is not None and lr > most and optimizer not in UNSCALED:
        text = f"--lr {lr:g} is far above what {what} bears: the model will most likely be ruined."
        yield Finding("warn", "settings", text, f"--lr {usual:g}")


def no_key(names: Iterable[str], tracker: str, page: str, about: CheckContext) -> Iterator[Finding]:
    """Yield each key that the machine will need and this one has not got to send."""
    for name in names:
        if name not in about.secrets:
            yield Finding(
                "error",
                "settings",
                f"--log {tracker} needs a key on the machine that trains, and {name} is not set "
                f"here; one is at {page}",
                f"export {name}=…, then the same command; or WANDB_MODE=offline; or no --log",
            )


def unused_rank(params: Params, low_rank: Iterable[Setting]) -> Iterator[Finding]:
    """Yield settings of a low-rank optimizer where it is another one."""
    given = [s.flags[0] for s in low_rank if s.name in params.model_fields_set]
    if given:
        text = f"{', '.join(given)}: only the optimizers galore_* and apollo_* have a rank."
        yield Finding("warn", "settings", text, "--optimizer galore_adamw")


def never_best(watching: Watching) -> Iterator[Finding]:
    """Yield that checkpoints wait for a better validation where nothing is validated."""
    validates = watching.eval_strategy != "no" and getattr(watching, "valid_split", None)
    if watching.save_strategy == "best" and not validates:
        text = "--save-strategy best waits for a better validation, and nothing is validated."
        yield Finding("error", "settings", text, "--valid-split 0.05, or --save-strategy epoch")


def unused_adapter(lora: Lora, flags: dict[str, str], about: CheckContext) -> Iterator[Finding]:
    """Yield settings of an adapter where none is trained.

    AutoTrain ignored them without a word, and its files name all settings there are: in a file
    they are noted. On the command line nobody types them who wants all weights trained, which
    takes several times the memory and money: there they are refused.
    """
    given = [name for name in flags if name in lora.model_fields_set]
    typed = [name for name in given if name in about.typed]
    if lora.peft or not given:
        return
    text = (
        f"without --peft no adapter is trained, and {', '.join(flags[n] for n in typed or given)} "
        "would do nothing: all weights are trained."
    )
    if typed:
        yield Finding("error", "settings", text, f"--peft, or leave {flags[typed[0]]} out")
    else:
        yield Finding("warn", "settings", text, "--peft trains an adapter")


def lost_base(lora: Lora, about: CheckContext) -> Iterator[Finding]:
    """Yield an adapter that would be pushed without the model it belongs to."""
    if lora.adapter_alone and about.model_is_here and about.pushed:
        yield Finding(
            "error",
            "settings",
            f"an adapter is loaded together with its base model, and {about.model} is only on this "
            "disk: nobody could use what is pushed.",
            "--merge-adapter, or --model with a model of the Hub",
        )


def no_layers(lora: Lora, about: CheckContext) -> Iterator[Finding]:
    """Yield layers that are to get an adapter and are not there, by the names of the tensors.

    Only the last part of a name is compared, `q_proj` of `self_attn.q_proj`: what stands before
    it may be called differently in a file than in the model that is made of it.
    """
    if not lora.peft or lora.target_modules == EVERY_LINEAR or about.facts is None:
        return
    there = _layers(about.tensors())
    names = [name.strip() for name in lora.target_modules.split(",")]
    lacking = [name for name in names if name.rsplit(".")[-1] not in there]
    if there and lacking:
        none = len(lacking) == len(names)
        meant = [name if name not in lacking else nearest(name, there) for name in names]
        sure = all(meant)
        yield Finding(
            "error" if none else "warn",
            "settings",
            f"--target-modules {','.join(lacking)}: {about.facts.name} has no layer of that name"
            f"{'' if none else ', and only the others get an adapter'}; it has {_some(there)}.",
            f"--target-modules {','.join(filter(None, meant)) if sure else EVERY_LINEAR}",
        )


def _layers(tensors: Iterable[str]) -> Sequence[str]:
    """Return the names of what has weights, norms and embeddings left out where names tell."""
    parts = (name.split(".") for name in tensors)
    names = {path[-2]: None for path in parts if len(path) > 1 and path[-1] != "bias"}
    return [name for name in names if not name.isdigit()]


def _some(names: Sequence[str]) -> str:
    plain = [n for n in names if "norm" not in n and "emb" not in n and "head" not in n] or names
    return some(plain, SHOWN)

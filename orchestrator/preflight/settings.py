"""Settings that would do nothing, or ruin the model, although their values are allowed."""

from __future__ import annotations

from typing import Any

from backends.base import Backend
from orchestrator.preflight.lookup import is_folder
from orchestrator.preflight.report import Findings
from orchestrator.preflight.request import Request
from worker.params import settings_of

ADAPTER = ("lora_r", "lora_alpha", "lora_dropout", "target_modules")
"""Settings that say what an adapter is like."""

BEARABLE = {False: 0.01, True: 0.05}
"""Largest learning rate that is no slip of the hand, without and with an adapter: ten times what
full training (1e-3) and LoRA (5e-3) are given at most."""

UNSCALED = frozenset({"sgd"})
"""Optimizers that do not scale their steps: with these a large rate may be right."""

KEY_PAGES = {"WANDB_API_KEY": "https://wandb.ai/authorize"}
"""Where a key is to be had, by the environment variable that holds it."""


def check_settings(request: Request, backend: Backend[Any]) -> Findings:
    """Return what there is to say about the settings alone."""
    findings = Findings()
    _check_adapter(request, findings)
    _check_base(request, backend, findings)
    _check_rate(request.params, findings)
    _check_keys(request, findings)
    return findings


def _check_adapter(request: Request, findings: Findings) -> None:
    """Find settings of an adapter where none is trained.

    AutoTrain ignored them without a word, and its files name all settings there are: in a file
    they are noted. On the command line nobody types them who wants all weights trained, which
    takes several times the memory and money: there they are refused.
    """
    if getattr(request.params, "peft", True):
        return
    given = [name for name in ADAPTER if name in request.params.model_fields_set]
    typed = [name for name in given if name in request.typed]
    if not given:
        return
    flags = {s.name: s.flags[0] for s in settings_of(type(request.params))}
    text = (
        f"without --peft no adapter is trained, and {', '.join(flags[n] for n in typed or given)} "
        "would do nothing: all weights are trained."
    )
    if typed:
        findings.error("settings", text, f"--peft, or leave {flags[typed[0]]} out")
    else:
        findings.warn("settings", text, "--peft trains an adapter")


def _check_base(request: Request, backend: Backend[Any], findings: Findings) -> None:
    """Find an adapter that would be pushed without the model it belongs to."""
    params = request.params
    adapter = getattr(params, "peft", False) and not getattr(params, "merge_adapter", False)
    here = backend.sees_my_files and is_folder(str(getattr(params, "model", "")))
    if adapter and here and request.job.push_to_hub:
        findings.error(
            "settings",
            f"an adapter is loaded together with its base model, and {params.model} is only on "
            "this disk: nobody could use what is pushed.",
            "--merge-adapter, or --model with a model of the Hub",
        )


def _check_rate(params: Any, findings: Findings) -> None:
    adapter = bool(getattr(params, "peft", False))
    most, rate = BEARABLE[adapter], getattr(params, "lr", None)
    if rate is not None and rate > most and getattr(params, "optimizer", "") not in UNSCALED:
        usual = params.model_copy(update={"lr": None}).peak_lr
        findings.warn(
            "settings",
            f"--lr {rate:g} is far above what {'an adapter' if adapter else 'training'} bears: the "
            "model will most likely be ruined.",
            f"--lr {usual:g}",
        )


def _check_keys(request: Request, findings: Findings) -> None:
    """Find keys that the machine will need and this one has not got to send."""
    for name in getattr(request.params, "secrets", ()):
        if name not in request.secrets:
            findings.error(
                "settings",
                f"--log {request.params.log} needs a key on the machine that trains, and {name} is "
                f"not set here; one is at {KEY_PAGES[name]}",
                f"export {name}=…, then the same command; or leave --log out",
            )

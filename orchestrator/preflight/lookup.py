"""Where the base model lies: a folder of this machine, or a repo on the Hub."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.preflight import token
from orchestrator.preflight.model import SMALL_FILES, FoundModel
from orchestrator.preflight.weights import SAFE, SUFFIXES, in_files, in_repo
from worker.account import Account
from worker.clock import Clock
from worker.contract import ModelRef
from worker.errors import BadConfig, GatedModel, HubError, NotThere
from worker.hubclient import endpoint, explained, patiently
from worker.hubrepo import sizes_of
from worker.nearest import nearest

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import ModelInfo


def is_folder(name: str) -> bool:
    """Whether `--model` means a folder here: one that exists, or a path that is no repo's."""
    return Path(name).expanduser().is_dir() or name.startswith(("/", "./", "../", "~"))


def find_model(
    name: str,
    whose: Callable[[], Account | None],
    hub: HfApi | None,
    clock: Clock,
    reads: Sequence[str] = (),
) -> FoundModel:
    """Return the model that `--model` names, wherever it is, with the small files it `reads`."""
    if is_folder(name):
        return in_folder(name, reads)
    if hub is None:
        raise BadConfig(f"no folder {name}, and the Hub is not asked.")
    return on_hub(name, whose, hub, clock, reads)


def in_folder(name: str, reads: Sequence[str] = ()) -> FoundModel:
    """Return the model in a folder. Raises `BadConfig` if there is none."""
    folder = Path(name).expanduser().resolve()
    if not folder.is_dir():
        raise BadConfig(f"no folder {name}.", fix="--model FOLDER, or a model of the Hub")
    there = sorted(path for path in folder.iterdir() if path.is_file())
    shards = [path for path in there if path.suffix == SAFE]
    files = shards or [path for path in there if path.suffix in SUFFIXES]
    weights = in_files(folder, files)
    return FoundModel(
        ref=ModelRef(name=str(folder)),
        weights=weights,
        stored_bytes=sum(p.stat().st_size for p in files),
        files={n: folder / n for n in (*SMALL_FILES, *reads) if (folder / n).is_file()},
        names=frozenset(path.name for path in there),
        about=("a folder of this machine",),
    )


def on_hub(
    name: str,
    whose: Callable[[], Account | None],
    hub: HfApi,
    clock: Clock,
    reads: Sequence[str] = (),
) -> FoundModel:
    """Return the model of a repo, pinned. Raises `NotThere`, `GatedModel`, `HubError`.

    `name` may end with `@` and a revision; `whose` says whose token it is, for messages.
    """
    asked = ModelRef.named(name)
    name, at = asked.name, asked.revision

    def ask() -> tuple[ModelInfo, dict[str, int]]:
        found = hub.model_info(name, revision=at, files_metadata=True)
        return found, sizes_of(found)

    try:
        info, sizes = patiently(f"looking for the model {name}", ask, clock)
    except NotThere as error:
        what = f"no model {name} on the Hub, or none"
        if at and _is_there(name, hub):
            raise NotThere(f"{name} has no revision {at}.", fix=f"--model {name}") from error
        hidden = token.unseen(whose(), name)
        raise NotThere(f"{what} that this token may see.{hidden}", fix=_near(name, hub)) from error
    if info.gated:
        _check_gate(name, whose, hub, clock)
    return FoundModel(
        ref=ModelRef(name=info.id, revision=info.sha),
        weights=in_repo(info, sizes, hub, clock),
        stored_bytes=_weights(sizes),
        files=_fetched(info, sizes, reads, hub, clock),
        names=frozenset(name for name in sizes if "/" not in name),
        about=(_licence(info), "gated, accepted" if info.gated else "not gated"),
        gated=bool(info.gated),
    )


def _is_there(name: str, hub: HfApi) -> bool:
    with suppress(HubError), explained(f"looking for {name}"):
        return bool(hub.model_info(name).id)
    return False


def _check_gate(name: str, whose: Callable[[], Account | None], hub: HfApi, clock: Clock) -> None:
    try:
        patiently(f"opening {name}", partial(hub.auth_check, name), clock)
    except GatedModel as error:
        who = whose()
        if who and not who.reads_gated:
            raise GatedModel(
                f"{name} is gated, and this fine-grained token opens no gated repos.",
                fix=f"let it read them: {endpoint()}/settings/tokens",
            ) from error
        raise GatedModel(
            f"{name} is gated and {f'{who.name} has' if who else 'you have'} not accepted its "
            f"terms: {endpoint()}/{name}"
        ) from error


def _near(name: str, hub: HfApi) -> str:
    """Return the model that was probably meant, as a flag; empty where the Hub knows none."""
    try:
        with explained("looking for similar names"):
            alike = [
                m.id
                for m in hub.list_models(search=name.rsplit("/", maxsplit=1)[-1][:40], limit=20)
            ]
    except HubError:
        return ""
    same = (one for one in alike if _bare(one) == _bare(name))
    near = nearest(name, alike) or next(same, None)
    return f"--model {near}" if near else ""


def _bare(name: str) -> str:
    return name.rsplit("/", maxsplit=1)[-1].lower()


def _weights(sizes: Mapping[str, int]) -> float:
    """Return the size of the weights in the format that is loaded, the first there is."""
    at_root = {name: size for name, size in sizes.items() if "/" not in name}
    for suffix in SUFFIXES:
        if total := sum(size for name, size in at_root.items() if name.endswith(suffix)):
            return total
    return 0.0


def _fetched(
    info: ModelInfo, sizes: Mapping[str, int], reads: Sequence[str], hub: HfApi, clock: Clock
) -> dict[str, Path]:
    def fetch(name: str) -> Path:
        get = partial(hub.hf_hub_download, info.id, name, revision=info.sha)
        return Path(patiently(f"reading {info.id}/{name}", get, clock))

    names = [name for name in (*SMALL_FILES, *reads) if name in sizes]
    with ThreadPoolExecutor(len(names) or 1) as pool:
        return dict(zip(names, pool.map(fetch, names), strict=True))


def _licence(info: ModelInfo) -> str:
    said = info.card_data.get("license") if info.card_data else None
    tagged = next((t.removeprefix("license:") for t in info.tags or [] if "license:" in t), None)
    return str(said or tagged or "no licence named")

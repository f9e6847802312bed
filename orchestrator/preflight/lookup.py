"""Where the base model lies: a folder of this machine, or a repo on the Hub."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.preflight import token
from orchestrator.preflight.model import SMALL_FILES, FoundModel
from worker.account import Account
from worker.clock import Clock
from worker.contract import ModelRef
from worker.errors import BadConfig, GatedModel, HubError, NotThere
from worker.hubclient import endpoint, explained, patiently
from worker.hubrepo import sizes_of
from worker.jsonfile import as_object, object_in
from worker.nearest import nearest
from worker.shorten import shortened

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import ModelInfo

WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".skops")
WHOLE, INDEX = "model.safetensors", "model.safetensors.index.json"
LARGEST_HEADER = 100 << 20
"""Bytes a safetensors header may have, by the format."""


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
    shards = sorted(folder.glob("*.safetensors"))
    weights = shards or [p for p in folder.iterdir() if p.suffix in WEIGHTS]
    headers = [_header(shard) for shard in shards]
    return FoundModel(
        ref=ModelRef(name=str(folder)),
        parameters=_summed(headers),
        stored_bytes=sum(p.stat().st_size for p in weights),
        files={n: folder / n for n in (*SMALL_FILES, *reads) if (folder / n).is_file()},
        tensors=lambda: [name for header in headers for name in header],
        about=("a folder of this machine",),
    )


def _header(path: Path) -> dict[str, Any]:
    """Return what a safetensors file says of its tensors, without reading them."""
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if not 0 < length <= LARGEST_HEADER:
            raise BadConfig(f"{path.name} is not a safetensors file, or is cut short.")
        header = as_object(stream.read(length), f"the header of {path.name}")
    header.pop("__metadata__", None)
    wrong = next((name for name, tensor in header.items() if not _is_tensor(tensor)), None)
    if wrong is not None:
        raise BadConfig(
            f"{path.name} does not say of {shortened(wrong)!r} what type and shape it has."
        )
    return header


def _is_tensor(said: Any) -> bool:
    """Whether a header says of a tensor what the format asks for."""
    if not isinstance(said, dict) or not isinstance(said.get("dtype"), str):
        return False
    shape = said.get("shape")
    return isinstance(shape, list) and all(type(side) is int and side >= 0 for side in shape)


def _summed(headers: list[dict[str, Any]]) -> dict[str, int]:
    parameters: dict[str, int] = {}
    for tensor in (tensor for header in headers for tensor in header.values()):
        parameters[tensor["dtype"]] = parameters.get(tensor["dtype"], 0) + prod(tensor["shape"])
    return parameters


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
        parameters=_parameters(info, sizes, hub),
        stored_bytes=_weights(sizes),
        files=_fetched(info, sizes, reads, hub, clock),
        tensors=partial(_tensors, info, sizes, hub, clock),
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
    for suffix in WEIGHTS:
        if total := sum(size for name, size in at_root.items() if name.endswith(suffix)):
            return total
    return 0.0


def _parameters(info: ModelInfo, sizes: Mapping[str, int], hub: HfApi) -> dict[str, int]:
    """Return parameters by type: as the Hub counted them, else from the files' headers."""
    if info.safetensors is not None:
        with explained(f"reading how large {info.id} is"):
            return {str(kind): int(n) for kind, n in info.safetensors.parameters.items()}
    if not any(name.endswith(".safetensors") and "/" not in name for name in sizes):
        return {}
    from huggingface_hub.errors import NotASafetensorsRepoError, SafetensorsParsingError

    try:
        with explained(f"reading the headers of {info.id}"):
            found = hub.get_safetensors_metadata(info.id, revision=info.sha)
    except (NotASafetensorsRepoError, SafetensorsParsingError):
        return {}
    return {str(kind): count for kind, count in found.parameter_count.items()}


def _tensors(info: ModelInfo, sizes: Mapping[str, int], hub: HfApi, clock: Clock) -> Iterable[str]:
    """Return the names of the tensors: from the index of the shards, else from the one header."""
    doing = f"reading the names of the layers of {info.id}"
    if INDEX in sizes:
        get = partial(hub.hf_hub_download, info.id, INDEX, revision=info.sha)
        index = object_in(Path(patiently(doing, get, clock)), f"{INDEX} of {info.id}")
        return list(index.get("weight_map") or ())
    if WHOLE in sizes:
        from huggingface_hub.errors import SafetensorsParsingError

        read = partial(hub.parse_safetensors_file_metadata, info.id, WHOLE, revision=info.sha)
        with suppress(SafetensorsParsingError):
            return list(patiently(doing, read, clock).tensors)
    return ()


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

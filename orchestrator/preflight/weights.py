"""What files of weights say of themselves: their tensors, and whether all of it is there.

A safetensors file is the length of a header in 8 bytes, the header, which says of each tensor its
type, shape and place, and the tensors. So its beginning and its length tell one that is cut short;
the numbers themselves are never read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard
from zipfile import is_zipfile

from worker.clock import Clock
from worker.errors import BadConfig
from worker.hubclient import explained, patiently
from worker.jsonfile import as_object, object_in
from worker.shorten import shortened

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import ModelInfo

SAFE = ".safetensors"
SUFFIXES = (SAFE, ".bin", ".pt", ".pth", ".skops")
WHOLE, INDEX = "model.safetensors", "model.safetensors.index.json"
"""One file with all tensors, and what lists those of several: libraries look for them so."""

LARGEST_HEADER = 100 << 20
"""Bytes a safetensors header may have, by the format."""

POINTER = b"version https://git-lfs"
"""How a file begins that stands for one that Git LFS did not fetch."""

AGAIN = "fetch the model once more, or --model with another"


@dataclass(frozen=True, slots=True)
class Weights:
    """What is known of a model's weights without their numbers."""

    parameters: Mapping[str, int] = field(default_factory=dict)
    """Number of parameters by type; empty where neither files nor the Hub tell."""

    shapes: Mapping[str, Sequence[int]] = field(default_factory=dict)
    """Shape of each tensor by its name, empty where only an index tells the name."""


def in_files(folder: Path, files: Sequence[Path]) -> Weights:
    """Return what a folder's files of weights say. Raises `BadConfig` for what is broken."""
    names = {path.name for path in files}
    if WHOLE not in names and (folder / INDEX).is_file():
        _check_index(object_in(folder / INDEX, INDEX), names)
    headers = [_header(path) for path in files if path.suffix == SAFE]
    for path in files:
        if path.suffix != SAFE:
            _check_archive(path)
    tensors = {name: tensor for header in headers for name, tensor in header.items()}
    parameters: dict[str, int] = {}
    for tensor in (tensor for header in headers for tensor in header.values()):
        parameters[tensor["dtype"]] = parameters.get(tensor["dtype"], 0) + prod(tensor["shape"])
    return Weights(parameters, {name: tensor["shape"] for name, tensor in tensors.items()})


def in_repo(info: ModelInfo, sizes: Mapping[str, int], hub: HfApi, clock: Clock) -> Weights:
    """Return what a repo's files say, and the Hub of them. Raises `BadConfig`, `HubError`.

    Of one file the header is read, of several their index.
    """
    doing = f"reading the names of the layers of {info.id}"
    shapes: dict[str, Sequence[int]] = {}
    if WHOLE in sizes:
        from huggingface_hub.errors import SafetensorsParsingError

        read = partial(hub.parse_safetensors_file_metadata, info.id, WHOLE, revision=info.sha)
        try:
            tensors = patiently(doing, read, clock).tensors
        except SafetensorsParsingError as error:
            raise _not_one(f"{WHOLE} of {info.id}") from error
        end = max((tensor.data_offsets[1] for tensor in tensors.values()), default=0)
        if end > sizes[WHOLE]:
            raise _cut_short(f"{WHOLE} of {info.id}", sizes[WHOLE], end)
        shapes = {name: tensor.shape for name, tensor in tensors.items()}
    elif INDEX in sizes:
        get = partial(hub.hf_hub_download, info.id, INDEX, revision=info.sha)
        index = object_in(Path(patiently(doing, get, clock)), f"{INDEX} of {info.id}")
        _check_index(index, sizes)
        shapes = dict.fromkeys(_listed(index), ())
    return Weights(_parameters(info, sizes, hub), shapes)


def _parameters(info: ModelInfo, sizes: Mapping[str, int], hub: HfApi) -> dict[str, int]:
    """Return parameters by type: as the Hub counted them, else from the files' headers."""
    if info.safetensors is not None:
        with explained(f"reading how large {info.id} is"):
            return {str(kind): int(n) for kind, n in info.safetensors.parameters.items()}
    if not any(name.endswith(SAFE) and "/" not in name for name in sizes):
        return {}
    from huggingface_hub.errors import NotASafetensorsRepoError, SafetensorsParsingError

    try:
        with explained(f"reading the headers of {info.id}"):
            found = hub.get_safetensors_metadata(info.id, revision=info.sha)
    except NotASafetensorsRepoError:
        return {}
    except SafetensorsParsingError as error:
        raise _not_one(f"a file of {info.id}") from error
    return {str(kind): count for kind, count in found.parameter_count.items()}


def _listed(index: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the file of each tensor, by an index."""
    said = index.get("weight_map")
    if not isinstance(said, dict) or not all(isinstance(file, str) for file in said.values()):
        raise BadConfig(f"{INDEX} does not say in which file each tensor is.", fix=AGAIN)
    return said


def _check_index(index: Mapping[str, Any], there: Iterable[str]) -> None:
    """Raise `BadConfig` for an index that names files which are not there."""
    if missing := sorted({*_listed(index).values()} - {*there}):
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise BadConfig(
            f"{INDEX} names {shortened(missing[0])}{more}, which the model has not got.", fix=AGAIN
        )


def _header(path: Path) -> dict[str, Any]:
    """Return what a safetensors file says of its tensors, without reading them."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        first = stream.read(8)
        length = int.from_bytes(first, "little")
        if first == POINTER[:8] and first + stream.read(15) == POINTER:
            raise _only_a_pointer(path)
        if not 0 < length <= LARGEST_HEADER:
            raise _not_one(path.name)
        if 8 + length > size:
            raise _cut_short(path.name, size, 8 + length)
        header = as_object(stream.read(length), f"the header of {path.name}")
    header.pop("__metadata__", None)
    wrong = next((name for name, tensor in header.items() if not _is_tensor(tensor)), None)
    if wrong is not None:
        raise BadConfig(
            f"{path.name} does not say of {shortened(wrong)!r} what type, shape and place it has."
        )
    whole = 8 + length + max((tensor["data_offsets"][1] for tensor in header.values()), default=0)
    if whole > size:
        raise _cut_short(path.name, size, whole)
    return header


def _is_tensor(said: Any) -> bool:
    """Whether a header says of a tensor what the format asks for."""
    if not isinstance(said, dict) or not isinstance(said.get("dtype"), str):
        return False
    shape, place = said.get("shape"), said.get("data_offsets")
    return _are_sizes(shape) and _is_place(place)


def _is_place(said: object) -> bool:
    """Whether it is a beginning and an end."""
    return _are_sizes(said) and bool(said) and said == [said[0], said[-1]]


def _are_sizes(said: object) -> TypeGuard[list[int]]:
    return isinstance(said, list) and all(type(side) is int and side >= 0 for side in said)


def _check_archive(path: Path) -> None:
    """Raise `BadConfig` for weights in torch's format, a zip, that are cut short."""
    with path.open("rb") as stream:
        first = stream.read(len(POINTER))
    if first == POINTER:
        raise _only_a_pointer(path)
    if first.startswith(b"PK") and not is_zipfile(path):
        raise BadConfig(f"{path.name} is cut short: its end is missing.", fix=AGAIN)


def _only_a_pointer(path: Path) -> BadConfig:
    return BadConfig(
        f"{path.name} is not the weights, but what Git LFS has in their place.",
        fix=f"git -C {path.parent} lfs pull",
    )


def _cut_short(called: str, size: int, whole: int) -> BadConfig:
    said = f"it has {size:,} bytes, and says that there are {whole:,}"
    return BadConfig(f"{called} is cut short: {said}.", fix=AGAIN)


def _not_one(called: str) -> BadConfig:
    return BadConfig(f"{called} is not a safetensors file, or is cut short.", fix=AGAIN)

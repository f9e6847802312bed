"""The image a job runs in, as the files that `docker build` takes, whoever builds it.

Which torch goes into it depends on the kind of machine; `space_template/torch-gpu.txt` and
`torch-cpu.txt` say which one and why. Nothing here knows a provider or a task, only extras.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.resources import files as package_files
from importlib.resources.abc import Traversable

from packaging.requirements import Requirement

from backends.packages import WORKER, requirements

TORCH_FILE = "torch.txt"
"""What the image takes torch from, in a layer of its own; without a requirement: no torch."""

_NO_TORCH = "# This task needs no torch.\n"


def image_files(extras: Iterable[str], accelerators: int) -> dict[str, bytes]:
    """Return the files of the image for these extras by path, on a machine with so many GPUs.

    The job itself is not among them: its `job.json` is to lie beside them.
    """
    template = package_files("space_template")
    kind = "gpu" if accelerators else "cpu"
    torch = (template / f"torch-{kind}.txt").read_text("utf-8")
    pins = (template / "constraints.txt").read_text("utf-8")
    needed = requirements(extras, WORKER)
    made = {
        "Dockerfile": (template / "Dockerfile").read_text("utf-8"),
        "requirements.txt": "".join(f"{one}\n" for one in needed),
        "constraints.txt": _with_torch(pins, torch),
        TORCH_FILE: torch if any(map(_is_torch, needed)) else _NO_TORCH,
    }
    text = {path: content.encode() for path, content in made.items()}
    return {**text, **sources("worker")}


def versions(accelerators: int) -> dict[str, str]:
    """Return the versions of packages in the images of machines with so many GPUs, by name."""
    template = package_files("space_template")
    pins = (template / "constraints.txt").read_text("utf-8")
    torch = (template / f"torch-{'gpu' if accelerators else 'cpu'}.txt").read_text("utf-8")
    found = {"python": WORKER["python_version"]}
    for line in _with_torch(pins, torch).splitlines():
        if text := line.partition("#")[0].strip():
            one = Requirement(text)
            found[one.name] = str(one.specifier).removeprefix("==")
    return found


def torch_in(text: str) -> str | None:
    """Return the requirement of torch in the text of a `TORCH_FILE`; none where there is none."""
    return next((line for line in text.splitlines() if _is_torch(line)), None)


def _with_torch(pins: str, torch: str) -> str:
    """Return `pins` with the image's torch for that of people's own machines.

    So no other package can bring another torch into the image: the build fails instead.
    """
    others = (line for line in pins.splitlines() if not _is_torch(line))
    return "".join(f"{line}\n" for line in (*others, torch_in(torch)) if line)


def _is_torch(line: str) -> bool:
    requirement = line.partition("#")[0].strip()
    if not requirement or requirement.startswith("-"):
        return False
    return Requirement(requirement).name == "torch"


def sources(package: str) -> dict[str, bytes]:
    """Return the files of one of our packages by path, as they are installed here."""
    return dict(_files(package_files(package), package))


def _files(folder: Traversable, path: str) -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        inside = f"{path}/{entry.name}"
        if entry.is_dir() and entry.name != "__pycache__":
            yield from _files(entry, inside)
        elif entry.is_file() and not entry.name.endswith((".pyc", ".so", "~")):
            yield inside, entry.read_bytes()

"""A folder of the user's that goes along with a job: which files of it, and as one zip.

A zip, so that ten thousand files are sent as one, and no name in it means anything to a Hub or to
another system. Its bytes follow from names and contents alone: nothing in it is compressed or
dated, and the Hub stores again only what has changed.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from worker.errors import BadConfig
from worker.ignored import Rule, is_ignored, rules_above, rules_in

MOST_BYTES = 5e9
"""What goes along at most: what is larger is data, and has a place of its own on the Hub."""

OUTPUT = "output"
"""Folder in it where a program may leave what it makes: that is brought back, and not sent."""

GITS = (".git", ".gitignore", ".gitattributes", ".gitmodules")
SECRETS = (
    *(".env", ".env.*", "*.env", ".envrc", ".netrc", ".pypirc", ".npmrc", ".git-credentials"),
    *(".ssh", ".aws", ".gnupg", ".kube", ".docker", "kaggle.json", "credentials.json"),
    *("*.pem", "*.key", "*.p12", "*.pfx", "id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*"),
)
"""Names under which secrets lie."""

CACHES = (
    *("__pycache__", "*.pyc", ".venv", "venv", ".tox", ".nox", "node_modules", "*.egg-info"),
    *(".cache", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".ipynb_checkpoints"),
    *(".idea", ".vscode", ".DS_Store", "Thumbs.db"),
)
"""Names of what programs make again."""

_TOKEN = re.compile(rb"\bhf_[A-Za-z0-9]{30,}")
_TEXT_BYTES = 1 << 20
"""Larger files are not looked through for tokens."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What of a folder goes along."""

    files: dict[str, Path]
    """By their path below the folder, with `/`, in order."""

    left_out: dict[str, tuple[str, ...]]
    """What does not, by the reason."""

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(path.stat().st_size for path in self.files.values())


def choose(folder: Path) -> Chosen:
    """Return which files of a folder go along.

    Raises `BadConfig` for a folder that cannot go along, and `OSError` for one that cannot be read.
    """
    root = folder.expanduser().resolve()
    files: dict[str, Path] = {}
    left_out: dict[str, list[str]] = {}
    for name, path, why in _walk(root, root, rules_above(root)):
        if why:
            left_out.setdefault(why, []).append(name)
        else:
            files[name] = path
    chosen = Chosen(files, {why: tuple(names) for why, names in sorted(left_out.items())})
    _refuse(chosen, folder)
    return chosen


def name_there(path: Path) -> str:
    """Return what something is called where it goes: a folder is a zip there."""
    if not path.expanduser().is_dir():
        return path.name
    return re.sub(r"[^\w.-]+", "-", path.expanduser().resolve().name or "root") + ".zip"


def pack(chosen: Chosen, to: Path) -> None:
    """Write the files as a zip: the same files give the same bytes."""
    with zipfile.ZipFile(to, "w", zipfile.ZIP_STORED, strict_timestamps=False) as packed:
        for name, path in chosen.files.items():
            about = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            about.create_system = 3  # the modes below are Unix's, whatever packs them
            runs = path.stat().st_mode & stat.S_IXUSR
            about.external_attr = (0o100755 if runs else 0o100644) << 16
            with path.open("rb") as content, packed.open(about, "w", force_zip64=True) as out:
                shutil.copyfileobj(content, out, 1 << 20)


def unpack(packed: Path, folder: Path) -> None:
    """Write what `pack` has packed below a folder, and nothing elsewhere."""
    with zipfile.ZipFile(packed) as archive:
        for about in archive.infolist():
            there = Path(archive.extract(about, folder))
            if not about.is_dir():
                there.chmod(about.external_attr >> 16 & 0o777 | stat.S_IRUSR | stat.S_IWUSR)


def _walk(root: Path, folder: Path, rules: list[Rule]) -> Iterator[tuple[str, Path, str]]:
    """Yield what a folder holds, in order: path below `root`, place, and why it is left out."""
    rules = [*rules, *rules_in(folder)]
    for entry in sorted(os.scandir(folder), key=lambda entry: os.fsencode(entry.name)):
        path = Path(entry.path)
        name = path.relative_to(root).as_posix()
        inner = entry.is_dir(follow_symlinks=False)
        why = _by_name(entry.name) or _by_kind(entry, root)
        if name == OUTPUT:
            why = "of an earlier run"
        if not why and is_ignored(rules, path.as_posix(), folder=inner):
            why = "in .gitignore"
        if inner and not why:
            yield from _walk(root, path, rules)
        elif why != _GITS_OWN:
            yield name + "/" * inner, path, why


_GITS_OWN = "git's own"


def _by_name(name: str) -> str:
    for why, patterns in ((_GITS_OWN, GITS), ("may be secret", SECRETS), ("a cache", CACHES)):
        if any(fnmatch(name, pattern) for pattern in patterns):
            return why
    return ""


def _by_kind(entry: os.DirEntry[str], root: Path) -> str:
    """Return why something that is no plain file or folder is left out."""
    if not entry.is_symlink():
        plain = entry.is_dir(follow_symlinks=False) or entry.is_file(follow_symlinks=False)
        return "" if plain else "no file"
    there = Path(entry.path).resolve()
    if not there.is_file():
        return "a link to no file"
    return "" if there.is_relative_to(root) else "a link out of the folder"


def _refuse(chosen: Chosen, folder: Path) -> None:
    """Raise `BadConfig` for what must not, or cannot, be sent."""
    for name in chosen.files:
        try:
            name.encode()
        except UnicodeEncodeError:
            raise BadConfig(f"{shown(name)} in {folder} has a name that is not UTF-8.") from None
    if chosen.size > MOST_BYTES:
        largest = max(chosen.files, key=lambda name: chosen.files[name].stat().st_size)
        raise BadConfig(
            f"{folder} holds {chosen.size / 1e9:.1f} GB, of which {MOST_BYTES / 1e9:.0f}"
            f" may go along; the largest file is {shown(largest)}.",
            fix="Data belongs into a dataset (hf upload …), or into .gitignore.",
        )
    if held := next(_with_token(chosen), None):
        raise BadConfig(
            f"{shown(held)} in {folder} holds a Hub token, and would lie in a repo with it.",
            fix='Take it out: on the machine os.environ["HF_TOKEN"] has one.',
        )


def _with_token(chosen: Chosen) -> Iterator[str]:
    for name, path in chosen.files.items():
        if path.stat().st_size <= _TEXT_BYTES and _TOKEN.search(path.read_bytes()):
            yield name


def shown(name: str) -> str:
    """Return a name as it can be shown, whatever is in it."""
    return name if name.isprintable() else ascii(name)

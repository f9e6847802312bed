"""Which files of a folder `.gitignore` leaves out, by git's own rules (gitignore(5)).

Read here and not asked of git, which may not be installed. The files of the folder, of those below
it and of those above it up to the root of its repository are heeded; a user's own global file is
not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

FILE = ".gitignore"


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of a `.gitignore`."""

    where: str
    """Folder of the file, as an absolute path with `/`."""

    pattern: re.Pattern[str]
    """Matches a path below `where`."""

    folders_alone: bool
    takes_back: bool

    def meets(self, path: str, *, folder: bool) -> bool:
        """Whether it speaks of an absolute path."""
        if self.folders_alone and not folder:
            return False
        below = path.removeprefix(self.where.rstrip("/") + "/")
        return below != path and bool(self.pattern.fullmatch(below))


def rules_above(folder: Path) -> list[Rule]:
    """Return the rules of the folders that an absolute one lies in; none without a repository."""
    above = [folder, *folder.parents]
    root = next((i for i, one in enumerate(above) if (one / ".git").exists()), 0)
    return [rule for one in reversed(above[1 : root + 1]) for rule in rules_in(one)]


def rules_in(folder: Path) -> list[Rule]:
    """Return the rules of a folder's own file; none where it cannot be read."""
    try:
        text = (folder / FILE).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    found = (_rule(folder.as_posix(), line) for line in text.split("\n"))
    return [rule for rule in found if rule]


def is_ignored(rules: list[Rule], path: str, *, folder: bool) -> bool:
    """Whether an absolute path is left out: the last rule that speaks of it decides."""
    last = next((rule for rule in reversed(rules) if rule.meets(path, folder=folder)), None)
    return last is not None and not last.takes_back


def _rule(where: str, line: str) -> Rule | None:
    line = re.sub(r"(?<!\\) +$", "", line.rstrip("\r"))
    if not line or line.startswith("#"):
        return None
    takes_back = line.startswith("!")
    line = line.removeprefix("!")
    folders_alone = line.endswith("/")
    line = line.rstrip("/") if folders_alone else line
    anchored = "/" in line
    try:
        pattern = re.compile(_translated(line.removeprefix("/"), anchored=anchored), re.DOTALL)
    except re.error:  # git takes such a line for one that matches nothing
        return None
    return Rule(where, pattern, folders_alone, takes_back)


def _translated(glob: str, *, anchored: bool) -> str:
    """Return a glob as a regular expression; one with no slash matches at any depth."""
    start = "" if anchored else "(?:.*/)?"
    parts = glob.split("/")
    last = len(parts) - 1
    found = []
    for i, part in enumerate(parts):
        if part == "**":
            found.append(".*" if i == last and i else "(?:.*/)?" if i != last else ".*")
        else:
            found.append("".join(_of_part(part)) + ("" if i == last else "/"))
    return start + "".join(found)


_TOKEN = re.compile(
    r"\\(?P<plain>.)|(?P<stars>\*+)|(?P<any>\?)|\[(?P<set>[!^]?\]?[^\]]*)\]|(?P<one>.)", re.DOTALL
)


def _of_part(part: str) -> list[str]:
    found = []
    for token in _TOKEN.finditer(part):
        if token["stars"]:
            found.append("[^/]*")
        elif token["any"]:
            found.append("[^/]")
        elif token["set"] is not None:
            inside = token["set"]
            negated = inside[:1] in {"!", "^"}
            inside = inside[1:] if negated else inside
            escaped = inside.replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]")
            found.append(f"[{'^' if negated else ''}{escaped}]")
        else:
            found.append(re.escape(token["plain"] or token["one"]))
    return found

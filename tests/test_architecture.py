"""The house keeps its shape: who may import whom, what a laptop may load, where lists may be.

What is wrong is said as `file:line: what`, so that a failure reads like a compiler's.
"""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import backends
import worker.tasks
from worker.tasks.llm import trainers

ROOT = Path(__file__).parent.parent
ROOMS = ("hubtrain", "orchestrator", "worker", "backends", "localhub", "space_template")
HEAVY = {
    "accelerate",
    "bitsandbytes",
    "datasets",
    "gradio",
    "pandas",
    "peft",
    "torch",
    "torchvision",
    "transformers",
    "trl",
}

BELOW = ("backends", "worker")
"""What every room of the laptop stands on."""

SURFACES = ("orchestrator.terminal", "orchestrator.app", "hubtrain")

STARTED_BY = {"orchestrator.app": "orchestrator.terminal.commands"}
"""A surface that a command of another one starts."""

MAY_IMPORT = {
    "worker.contract": ("worker.contract",),
    "worker.params": ("worker.facts", "worker.finding"),
    "worker.batch": ("worker.prctl",),
    "worker.clock": (),
    "worker.detached": (),
    "worker.ending": (),
    "worker.home": ("worker.errors",),
    "worker.duration": (),
    "worker.money": (),
    "worker.importing": (),
    "worker.markdown": (),
    "worker.paths": ("worker.contract", "worker.home"),
    "worker.nearest": (),
    "worker.ports": (),
    "worker.errors": ("worker.contract",),
    "worker.hubclient": ("worker.clock", "worker.contract", "worker.errors"),
    "worker.splits": (),
    "worker.environment": (),
    "worker.account": ("worker.clock", "worker.errors", "worker.hubclient"),
    "worker.reading": (
        "worker.contract",
        "worker.errors",
        "worker.hubclient",
        "worker.nearest",
        "worker.reading",
        "worker.shorten",
        "worker.splits",
    ),
    "worker.answers": ("worker.errors",),
    "worker.bars": (),
    "worker.exchange": (
        "worker.answers",
        "worker.bars",
        "worker.contract",
        "worker.finding",
        "worker.params",
        "worker.rendered",
    ),
    "worker.task": (
        "worker.answers",
        "worker.contract",
        "worker.exchange",
        "worker.facts",
        "worker.finding",
        "worker.importing",
        "worker.params",
        "worker.rendered",
        "worker.session",
        "worker.splits",
    ),
    "worker.finding": (),
    "worker.rendered": (),
    "worker.samples": (),
    "worker.session": (),
    "worker.facts": (),
    "worker.hardware": (),
    "worker.hubfile": ("worker.errors", "worker.hubclient"),
    "worker.hubjobs": ("worker.contract",),
    "worker.bootstrap": (),
    "worker.archive": ("worker.contract", "worker.hubfile"),
    "worker.timeout": ("worker.errors",),
    "worker.host": (
        "worker.host",
        "worker.clock",
        "worker.contract",
        "worker.bootstrap",
        "worker.errors",
        "worker.hardware",
        "worker.hubclient",
        "worker.hubjobs",
        "worker.show.door",
        "worker.timeout",
    ),
    "worker.show": (
        "worker.answers",
        "worker.contract",
        "worker.duration",
        "worker.money",
        "worker.exchange",
        "worker.samples",
        "worker.show",
        "worker.tasks",
    ),
    "worker.page": (
        "worker.page",
        "worker.contract",
        "worker.host",
        "worker.importing",
        "worker.samples",
        "worker.show",
        "worker.supervise.live",
        "worker.tasks",
    ),
    "worker": ("worker",),
    "backends": (
        "backends",
        "worker.account",
        "worker.duration",
        "worker.environment",
        "worker.batch",
        "worker.contract",
        "worker.detached",
        "worker.ending",
        "worker.params",
        "worker.errors",
        "worker.hardware",
        "worker.hubclient",
        "worker.hubjobs",
        "worker.ports",
        "worker.installing",
        "worker.clock",
        "worker.paths",
        "worker.home",
        "worker.markdown",
        "worker.nearest",
    ),
    "orchestrator": (),
    "orchestrator.words": ("worker.duration", "worker.money"),
    "orchestrator.visible": (),
    "orchestrator.subprocess_call": BELOW,
    "orchestrator.document": (),
    "orchestrator.exits": (),
    "orchestrator.crash": BELOW,
    "orchestrator.forecast": (),
    "orchestrator.month_budget": (
        *BELOW,
        "orchestrator.jobs",
        "orchestrator.preflight",
        "orchestrator.words",
    ),
    "orchestrator.localhub": (*BELOW, "orchestrator.subprocess_call"),
    "orchestrator.rehearsal": (
        *BELOW,
        "orchestrator.subprocess_call",
        "orchestrator.job_request",
        "orchestrator.document",
        "orchestrator.flow",
        "orchestrator.jobs",
        "orchestrator.localhub",
        "orchestrator.preflight",
        "orchestrator.rehearsal",
        "orchestrator.settings",
        "orchestrator.words",
    ),
    "orchestrator.inference": (
        *BELOW,
        "orchestrator.subprocess_call",
        "orchestrator.data.sources.media",
        "orchestrator.hosted",
        "orchestrator.inference",
        "orchestrator.jobs",
        "orchestrator.preflight",
        "orchestrator.settings",
        "orchestrator.visible",
    ),
    "orchestrator.settings": (*BELOW, "orchestrator.settings"),
    "orchestrator.data": (*BELOW, "orchestrator.data"),
    "orchestrator.preflight": (
        *BELOW,
        "orchestrator.document",
        "orchestrator.forecast",
        "orchestrator.preflight",
        "orchestrator.data.sources",
        "orchestrator.settings",
        "orchestrator.words",
    ),
    "orchestrator.jobs": (
        *BELOW,
        "orchestrator.document",
        "orchestrator.forecast",
        "orchestrator.jobs",
        "orchestrator.data.package",
        "orchestrator.hosted",
        "orchestrator.words",
    ),
    "orchestrator.hosted": BELOW,
    "orchestrator.machine_cache": BELOW,
    "orchestrator.plan": (
        *BELOW,
        "orchestrator.data",
        "orchestrator.jobs",
        "orchestrator.settings",
        "orchestrator.words",
    ),
    "orchestrator.job_request": (
        *BELOW,
        "orchestrator.data",
        "orchestrator.jobs",
        "orchestrator.plan",
        "orchestrator.preflight",
        "orchestrator.settings",
    ),
    "orchestrator.prepare": (
        *BELOW,
        "orchestrator.job_request",
        "orchestrator.data",
        "orchestrator.jobs",
        "orchestrator.preflight",
        "orchestrator.settings",
    ),
    "orchestrator.deploy": (
        *BELOW,
        "orchestrator.deploy",
        "orchestrator.document",
        "orchestrator.jobs",
        "orchestrator.preflight",
        "orchestrator.settings",
        "orchestrator.words",
    ),
    "orchestrator.deduplication": (
        *BELOW,
        "orchestrator.job_request",
        "orchestrator.jobs",
        "orchestrator.preflight",
    ),
    "orchestrator.original": (*BELOW, "orchestrator.jobs", "orchestrator.preflight"),
    "orchestrator.rerunning": (
        *BELOW,
        "orchestrator.job_request",
        "orchestrator.jobs",
        "orchestrator.original",
        "orchestrator.preflight",
        "orchestrator.resuming",
        "orchestrator.settings",
        "orchestrator.words",
    ),
    "orchestrator.verify": (*BELOW, "orchestrator.jobs"),
    "orchestrator.resuming": (
        *BELOW,
        "orchestrator.jobs",
        "orchestrator.preflight",
        "orchestrator.settings",
    ),
    "orchestrator.samples": (*BELOW, "orchestrator.settings", "orchestrator.words"),
    "orchestrator.flow": (
        *BELOW,
        "orchestrator.deduplication",
        "orchestrator.original",
        "orchestrator.rerunning",
        "orchestrator.resuming",
        "orchestrator.month_budget",
        "orchestrator.data",
        "orchestrator.hosted",
        "orchestrator.jobs",
        "orchestrator.job_request",
        "orchestrator.plan",
        "orchestrator.preflight",
        "orchestrator.settings",
    ),
    "orchestrator.sweep": (
        *BELOW,
        "orchestrator.subprocess_call",
        "orchestrator.job_request",
        "orchestrator.document",
        "orchestrator.flow",
        "orchestrator.hosted",
        "orchestrator.jobs",
        "orchestrator.preflight",
        "orchestrator.settings",
        "orchestrator.sweep",
        "orchestrator.words",
    ),
    "orchestrator.polling": (*BELOW, "orchestrator.deploy", "orchestrator.jobs"),
    "orchestrator.job_export": (*BELOW, "orchestrator.jobs", "orchestrator.settings"),
    "orchestrator.tools": (
        *BELOW,
        "orchestrator.subprocess_call",
        "orchestrator.jobs",
        "orchestrator.settings",
    ),
    "orchestrator.flags": (*BELOW, "orchestrator.completing", "orchestrator.settings"),
    "orchestrator.completing": (
        *BELOW,
        "orchestrator.jobs",
        "orchestrator.machine_cache",
        "orchestrator.samples",
    ),
    "orchestrator.mentions": (*BELOW, "orchestrator.settings", "orchestrator.tools"),
    "orchestrator.form": (
        *BELOW,
        "orchestrator.job_request",
        "orchestrator.data.sources",
        "orchestrator.flags",
        "orchestrator.flow",
        "orchestrator.form",
        "orchestrator.hosted",
        "orchestrator.jobs",
        "orchestrator.mentions",
        "orchestrator.preflight",
        "orchestrator.rerunning",
        "orchestrator.resuming",
        "orchestrator.settings",
        "orchestrator.words",
    ),
    "orchestrator.api": (*BELOW, "orchestrator"),
    "orchestrator.terminal": (*BELOW, "orchestrator"),
    "orchestrator.app": (*BELOW, "orchestrator"),
    "hubtrain": (
        *BELOW,
        "hubtrain",
        "orchestrator.api",
        "orchestrator.document",
        "orchestrator.deploy",
        "orchestrator.flow",
        "orchestrator.inference",
        "orchestrator.jobs",
        "orchestrator.job_request",
        "orchestrator.mentions",
        "orchestrator.original",
        "orchestrator.preflight",
        "orchestrator.rehearsal",
        "orchestrator.samples",
        "orchestrator.settings",
        "orchestrator.sweep",
        "orchestrator.tools",
        "orchestrator.visible",
    ),
    "localhub": ("localhub",),
    "localhub.clock": (),
    "localhub.errors": (),
    "localhub.faults": ("localhub.errors",),
    "localhub.storage": ("localhub.errors", "localhub.storage"),
    "localhub.auth": (
        "localhub.auth",
        "localhub.clock",
        "localhub.errors",
        "localhub.storage",
    ),
    "localhub.runtime": (
        "localhub.auth",
        "localhub.clock",
        "localhub.errors",
        "localhub.runtime",
        "localhub.storage",
    ),
    "localhub.runtime.shim": (),
    "localhub.hub": (
        "localhub.auth",
        "localhub.clock",
        "localhub.faults",
        "localhub.runtime",
        "localhub.storage",
    ),
    "localhub.http": (
        "localhub.auth",
        "localhub.errors",
        "localhub.http",
        "localhub.hub",
        "localhub.runtime.doors",
        "localhub.storage.repos",
    ),
    "localhub.api": (
        "localhub.api",
        "localhub.auth",
        "localhub.clock",
        "localhub.errors",
        "localhub.http",
        "localhub.hub",
        "localhub.runtime",
        "localhub.storage",
    ),
    "space_template": (),
}
"""The arrows; the longest name that fits a module rules it."""

AROUND = ("worker.card", "worker.page", "worker.run", "worker.serve", "worker.supervise")
"""What surrounds a training on the rented machine, and is never asked by it."""

NEVER = {
    "worker.engine": ("worker.families", "worker.reading", "worker.tasks", *AROUND),
    "worker.families": ("worker.host", "worker.tasks", *AROUND),
    "worker.tasks": ("worker.host", *AROUND),
    "worker.run": ("worker.card", "worker.page", "worker.supervise"),
    "worker.supervise": (
        "worker.engine",
        "worker.page",
        "worker.reading",
        "worker.run",
        "worker.tasks",
    ),
    "orchestrator": ("worker.engine", "worker.host", *AROUND),
    "hubtrain": ("worker.engine", "worker.host", *AROUND),
}
"""Exceptions from the arrows above."""

FOUND_BY_NAME = {
    "worker.tasks": worker.tasks.names(),
    "worker.tasks.llm.trainers": trainers.names(),
}

POSIX_ONLY = {
    "os": {"fork", "forkpty", "setsid", "killpg", "getpgid", "setpgid", "geteuid", "getuid"},
    "signal": {"SIGKILL", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGALRM", "alarm", "setitimer"},
}
POSIX_MODULES = {"fcntl", "grp", "pty", "pwd", "resource", "termios", "tty"}
POSIX_ROOMS = ("backends.local", "backends.slurm", "localhub", "worker.batch")


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def within(module: str, room: str) -> bool:
    return module == room or module.startswith(room + ".")


@cache
def sources(*rooms: str) -> dict[Path, ast.Module]:
    rooted = (ROOT / room for room in rooms)
    files = (f for r in rooted for f in ([r] if r.is_file() else sorted(r.rglob("*.py"))))
    return {f: ast.parse(f.read_text(encoding="utf-8")) for f in files}


def imports(tree: ast.AST, package: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the full name of everything imported anywhere below `tree`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join((*above, base)).rstrip(".")
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                yield node.lineno, inner if is_module(inner) else base


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def trains(module: str) -> bool:
    """Whether a module is imported only where a model is trained, so that it may import torch.

    The engine is, and of a task whatever is called `training`, be it a file or a folder.
    """
    tasks = within(module, "worker.tasks") or within(module, "worker.families")
    of_a_task = tasks and "training" in module.split(".")
    return within(module, "worker.engine") or of_a_task


def package_of(path: Path) -> str:
    module = module_of(path)
    return module if path.name == "__init__.py" else module.rpartition(".")[0]


def at(path: Path, line: int, what: str) -> str:
    return f"{path.relative_to(ROOT)}:{line}: {what}"


def top_level(tree: ast.Module | ast.ClassDef) -> Iterator[ast.stmt]:
    """Yield what runs when the module is imported; type checkers' imports do not."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            yield from top_level(node)
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            yield from node.orelse
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_every_import_follows_the_arrows() -> None:
    wrong = []
    for path, tree in sources(*ROOMS).items():
        module = module_of(path)
        rule = max((r for r in MAY_IMPORT if within(module, r)), key=len)
        never = [n for room, names in NEVER.items() if within(module, room) for n in names]
        for line, name in imports(tree, package_of(path)):
            if name.split(".")[0] not in ROOMS:
                continue
            allowed = any(within(name, a) for a in (*MAY_IMPORT[rule], module))
            if not allowed or any(within(name, n) for n in never):
                wrong.append(at(path, line, f"{module} must not import {name}"))
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("deep", [2, 9], ids=["rooms", "modules"])
@pytest.mark.parametrize("house", ["worker", "backends", "orchestrator", "hubtrain", "localhub"])
def test_no_imports_go_in_a_circle(house: str, deep: int) -> None:
    """Neither those inside functions nor those of type checkers: each can be understood alone."""
    arrows: dict[str, set[str]] = {}
    for path, tree in sources(house).items():
        here = shortened(module_of(path), deep)
        there = {shortened(name, deep) for _, name in imports(tree, package_of(path))}
        arrows.setdefault(here, set()).update(there - {here})
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


def shortened(module: str, deep: int) -> str:
    return ".".join(module.split(".")[:deep])


BUILT_ON = {"worker.tasks.pretraining": "worker.tasks.llm"}
"""A task that is another one, under other flags and from nothing: it goes where that goes."""


def test_no_task_or_trainer_imports_another() -> None:
    """What two of them share has a module of its own, so that each can be taken out."""
    wrong = [
        at(path, line, f"imports {other} of {room}")
        for room, names in FOUND_BY_NAME.items()
        for one in names
        for path, tree in sources(*ROOMS).items()
        if within(module_of(path), f"{room}.{one}")
        for line, name in imports(tree, package_of(path))
        for other in names
        if other != one and within(name, f"{room}.{other}")
        if BUILT_ON.get(f"{room}.{one}") != f"{room}.{other}"
    ]
    assert not wrong, "\n".join(wrong)


def test_nothing_imports_a_surface() -> None:
    wrong = [
        at(path, line, name)
        for path, tree in sources(*ROOMS).items()
        for line, name in imports(tree, package_of(path))
        for surface in SURFACES
        if within(name, surface)
        and not within(module_of(path), surface)
        and not within(module_of(path), STARTED_BY.get(surface, surface))
    ]
    assert not wrong, "\n".join(wrong)


TALKS = {"click", "getpass", "rich"}
READS = {"orchestrator.completing", "orchestrator.flags", "orchestrator.form.spelling"}
"""What reads the words of a command with a library that could also talk, and says nothing."""
ENDS = {"print", "input", "exit", "quit", "sys.exit", "os._exit"}


def test_only_a_surface_prints_asks_or_ends_the_process() -> None:
    wrong = []
    for path, tree in sources("orchestrator").items():
        module = module_of(path)
        if any(within(module, surface) for surface in SURFACES) or runs_by_itself(tree):
            continue
        found = [(line, name.split(".")[0]) for line, name in imports(tree, package_of(path))]
        silent = {"click"} if module in READS else set()
        wrong += [at(path, line, name) for line, name in found if name in TALKS - silent]
        calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
        said = [(node.lineno, ast.unparse(node.func)) for node in calls]
        wrong += [
            at(path, line, name)
            for line, name in said
            if name in ENDS or re.match(r"sys\.std(out|err)", name)
        ]
    assert not wrong, "\n".join(wrong)


def runs_by_itself(tree: ast.Module) -> bool:
    """Whether a module is a program too, as that which writes a page of the docs."""
    last = tree.body[-1] if tree.body else None
    return isinstance(last, ast.If) and "__main__" in ast.unparse(last.test)


def test_only_a_command_starts_the_local_hub() -> None:
    """What talks to a Hub must not know which one it talks to."""
    wrong = [
        at(path, line, name)
        for path, tree in sources("orchestrator", "worker", "backends").items()
        for line, name in imports(tree, package_of(path))
        if within(name, "localhub")
    ]
    assert not wrong, "\n".join(wrong)


def test_heavy_libraries_wait_until_they_are_used() -> None:
    wrong = []
    for path, tree in sources(*ROOMS).items():
        if trains(module_of(path)):
            continue
        for node in top_level(tree):
            for line, name in imports(node, package_of(path)):
                if name.split(".")[0] in HEAVY or trains(name):
                    wrong.append(at(path, line, f"{name} at module level"))
    # Pages are Gradio's, and are imported only on the machine that has it, by what serves them.
    pages = (
        "orchestrator/app/confirm.py",
        "orchestrator/app/pages/",
        "worker/page/",
        "worker/serve/page.py",
        "worker/show/answers.py",
        "worker/show/polled.py",
    )
    wrong = [w for w in wrong if not (w.startswith(pages) and "gradio" in w)]
    assert not wrong, "\n".join(wrong)


def light_modules() -> list[str]:
    serving = ("worker.serve.page", "worker.show.answers", "worker.show.polled")
    served = (
        "orchestrator.app.confirm",
        "orchestrator.app.gate",
        "orchestrator.app.lobby.front",
        "orchestrator.app.lobby.proxy",
        "orchestrator.app.pages",
        "orchestrator.app.routes",
    )
    rented = ("worker.supervise", "worker.page", "worker.run", *serving, *served)
    named = (module_of(path) for path in sources("orchestrator", "backends", "worker"))
    return [
        m
        for m in named
        if not trains(m) and not any(within(m, r) for r in rented) and not m.endswith("__main__")
    ]


def test_a_laptop_without_torch_can_import_all_it_runs() -> None:
    code = (
        "import importlib, json, sys\n"
        f"for name in {light_modules()!r}: importlib.import_module(name)\n"
        f"print(json.dumps(sorted({HEAVY!r} & set(sys.modules))))"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout) == []


def literals(node: ast.AST) -> list[str]:
    """Return the strings in a list, tuple or set, in the keys of a dict, or in a comparison."""
    items: list[ast.expr | None] = []
    if isinstance(node, ast.List | ast.Tuple | ast.Set):
        items = list(node.elts)
    elif isinstance(node, ast.Dict):
        items = list(node.keys)
    elif isinstance(node, ast.Compare) and re.search(r"backend|task|name", ast.unparse(node)):
        items = [node.left, *node.comparators]
    return [i.value for i in items if isinstance(i, ast.Constant) and isinstance(i.value, str)]


@pytest.mark.parametrize(
    ("room", "names"),
    [("backends", set(backends.names())), ("worker/tasks", set(worker.tasks.names()))],
    ids=["backends", "tasks"],
)
def test_nobody_else_lists_or_asks_for_a_backend_or_task_by_name(
    room: str, names: set[str]
) -> None:
    wrong = [
        at(path, getattr(node, "lineno", 0), f"{found} outside {room}")
        for path, tree in sources(*ROOMS).items()
        if not path.is_relative_to(ROOT / room) and not path.is_relative_to(ROOT / "localhub")
        for node in ast.walk(tree)
        if node not in exports(tree) and (found := names & set(literals(node)))
    ]
    assert not wrong, "\n".join(wrong)


def exports(tree: ast.Module) -> list[ast.expr]:
    """Return what is assigned to `__all__`: the API has names of its own, such as `jobs`."""
    made = (node for node in tree.body if isinstance(node, ast.Assign))
    return [node.value for node in made if ast.unparse(node.targets[0]) == "__all__"]


def test_only_hosts_know_where_the_worker_runs() -> None:
    """What a Space tells by its environment is read in its file: another host is one more file."""
    told = {"SPACE_ID", "SYSTEM", "OAUTH_CLIENT_ID", "SPACE_PASS_KEY", "HUBTRAIN_PAGE_KEY"}
    told |= {"ACCELERATOR", "ACCELERATORS", "CPU_CORES"}
    wrong = [
        at(path, node.lineno, node.value)
        for path, tree in sources("worker").items()
        if not within(module_of(path), "worker.host")
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and node.value in told
    ]
    assert not wrong, "\n".join(wrong)


def test_whose_token_it_is_is_asked_in_one_place() -> None:
    asking = [
        at(path, node.lineno, "asks whose token it is; `worker.account.who` does, and types it")
        for path, tree in sources("orchestrator", "backends", "worker", "hubtrain").items()
        if module_of(path) != "worker.account"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr == "whoami"
    ]
    assert not asking, "\n".join(asking)


def words_of(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield every name and every string of a module with its line, docstrings left out."""
    docs = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        for _, value in ast.iter_fields(node):
            if isinstance(value, str) and id(node) not in docs:
                yield getattr(node, "lineno", 0), value


def test_the_laptop_knows_no_kind_of_training() -> None:
    """What such words mean is the task's, and the groups of settings' in `worker`."""
    known = re.compile(r"(?<![a-z])(llm|peft|packing|row_tokens)(?![a-z])", re.IGNORECASE)
    wrong = [
        at(path, line, f"{found[0]} in {word[:40]!r}")
        for path, tree in sources("orchestrator").items()
        for line, word in words_of(tree)
        if (found := known.search(word))
    ]
    assert not wrong, "\n".join(wrong)


def test_only_a_trainer_knows_which_one_it_is() -> None:
    """What differs between trainers of language models is asked of the trainer, by what it is."""
    asked = re.compile(
        r"(\btrainer (==|!=|in|not in) )|( (==|in) \S*\btrainer$)|match \S*\btrainer:"
    )
    wrong = [
        at(path, node.lineno, found[0])
        for path, tree in sources(*ROOMS).items()
        if not path.is_relative_to(ROOT / "worker/tasks/llm/trainers")
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare | ast.Match)
        if (found := asked.search(ast.unparse(node)))
    ]
    assert not wrong, "\n".join(wrong)


def guarded(tree: ast.Module) -> set[ast.AST]:
    """Return the nodes of functions and statements that ask for the platform first."""
    if isinstance(tree.body[-1], ast.If) and "'platform'" in ast.dump(tree.body[-1].test):
        return set(ast.walk(tree))  # a script that does nothing elsewhere
    units = [*tree.body, *(n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef))]
    asking = (u for u in units if not isinstance(u, ast.ClassDef) and "'platform'" in ast.dump(u))
    return {node for unit in asking for node in ast.walk(unit)}


def test_posix_calls_stay_where_only_posix_runs() -> None:
    wrong = []
    for path, tree in sources(*ROOMS).items():
        if any(within(module_of(path), room) for room in POSIX_ROOMS):
            continue
        safe = guarded(tree)
        for node in (n for n in ast.walk(tree) if n not in safe):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                if node.attr in POSIX_ONLY.get(node.value.id, ()):
                    wrong.append(at(path, node.lineno, f"{node.value.id}.{node.attr}"))
            elif isinstance(node, ast.Import | ast.ImportFrom):
                named = [name for _, name in imports(node, package_of(path))]
                wrong += [at(path, node.lineno, n) for n in named if n in POSIX_MODULES]
    assert not wrong, "\n".join(wrong)


def test_every_module_class_and_function_says_what_it_is_for() -> None:
    wrong = []
    for path, tree in sources(*ROOMS).items():
        if not ast.get_docstring(tree):
            wrong.append(at(path, 1, "module"))
        for node in tree.body:
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                continue
            if not node.name.startswith("_") and not ast.get_docstring(node):
                wrong.append(at(path, node.lineno, node.name))
    assert not wrong, "\n".join(wrong)


def test_programs_that_use_the_api_see_its_types() -> None:
    """PEP 561 asks for the mark in each package that the API's types come from."""
    rooms = ("hubtrain", "orchestrator", "worker", "backends")
    assert [room for room in rooms if not (ROOT / room / "py.typed").is_file()] == []


def test_tests_replace_nothing_of_what_they_test() -> None:
    forbidden = {"monkeypatch.setattr", "monkeypatch.delattr", "mock.patch", "mocker.patch"}
    wrong = []
    for path, tree in sources("tests").items():
        used = [n for n in ast.walk(tree) if isinstance(n, ast.Attribute)]
        wrong += [at(path, n.lineno, t) for n in used if (t := ast.unparse(n)) in forbidden]
        found = imports(tree, "tests")
        wrong += [at(path, line, name) for line, name in found if within(name, "unittest.mock")]
    assert not wrong, "\n".join(wrong)


def tracked() -> list[Path]:
    if shutil.which("git") is None:
        pytest.skip("git is not on this machine")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [p for name in listed.stdout.split("\0") if name and (p := ROOT / name).is_file()]


def test_the_repo_knows_no_machine_and_no_registry() -> None:
    # Spelled in halves, so that this file does not contain them.
    halves = [
        ("/wo", r"rk/(main|shared|\.)"),
        ("/ro", "ot/"),
        ("pythonhosted", r"\.org"),
        ("pypi", r"\.org/simple"),
    ]
    halves += [("npmjs", r"\.(org|com)"), ("deb", r"\.debian\.org")]
    # Only PyTorch has builds for CPUs, and no other index is ever named.
    halves += [("index", r"-url[ =]+(?!https://download\.pytorch\.org/)\S+://")]
    forbidden = re.compile("|".join(a + b for a, b in halves))
    wrong = []
    for path in tracked():
        text = path.read_text(encoding="utf-8", errors="ignore")
        wrong += [
            at(path, n, found[0])
            for n, line in enumerate(text.splitlines(), 1)
            if (found := forbidden.search(line))
        ]
    assert not wrong, "\n".join(wrong)


def test_the_top_of_the_house_has_no_other_rooms() -> None:
    top = {p.relative_to(ROOT).parts[0] for p in tracked() if len(p.relative_to(ROOT).parts) > 1}
    assert top <= {*ROOMS, "tests", "benchmarks", "examples", "docs", ".ci"}

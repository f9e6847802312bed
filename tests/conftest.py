"""What tests share: a local Hub of their own, or one for a whole file."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile

# The stock client reads these once, at import: no test may upload by Xet, call home, or leave
# models in the cache of whoever runs it.
os.environ["HF_HOME"] = tempfile.mkdtemp(prefix="hubtrain-tests-")
os.environ["HF_HUB_DISABLE_XET"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
# Models as small as those of tests wait longer for one another's threads than they compute.
os.environ["OMP_NUM_THREADS"] = "1"
# Nor may one submit to the Slurm of whoever runs it: there is none but where a test asks for it.
os.environ["SLURM_CONF"] = os.devnull

# A script that starts the suite behind itself has Ctrl-C ignored here, and in all that is started.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from seeds import LACKING as SEEDS
from services.again import ENDED
from services.browser import NAMED, NO_SKIPS
from services.browser import found as browser_found
from standins.localhub import ORGS, USERS, HubServer

if TYPE_CHECKING:
    from playwright.sync_api import Browser

HubFactory = Callable[..., HubServer]


@pytest.fixture
def hub_server(tmp_path: Path) -> Iterator[HubFactory]:
    """Start local Hubs: `hub_server()`, `hub_server("ann:write", orgs=("lab:ann",))`.

    All of them end with the test.
    """
    started: list[HubServer] = []

    def start(
        *users: str, orgs: tuple[str, ...] = ORGS, options: tuple[str, ...] = ()
    ) -> HubServer:
        data = tmp_path / f"hub{len(started)}" / "data"
        data.parent.mkdir()
        made = HubServer(data, users or USERS, orgs, options)
        started.append(made)
        return made.start()

    yield start
    for server in started:
        server.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One real Chromium without a window for all tests of a file."""
    from standins.visitor import chromium

    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def shared_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubServer]:
    """One local Hub for all tests of a file: they use repos of their own and break nothing."""
    server = HubServer(tmp_path_factory.mktemp("hub") / "data").start()
    yield server
    server.stop()


LACKING = "is not on this machine"
GPU = "a GPU that CUDA knows"
UNINSTALLABLE = (SEEDS, f"{GPU} {LACKING}")
"""Reasons that hold in CI too: no package brings what is missing."""

_lacking: dict[str, list[str]] = {}
"""What this machine lacks, and the tests that could not run without it."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out the tests that need a browser, a GPU or a program where there is none."""
    for item in items:
        needs = [str(mark.args[0]) for mark in item.iter_markers("program")]
        missing = [name for name in needs if shutil.which(name) is None]
        if item.get_closest_marker("browser") and browser_found() is None:
            missing.append("a browser")
        if item.get_closest_marker("gpu") and not _cuda():
            missing.append(GPU)
        if missing:
            item.add_marker(pytest.mark.skip(reason=f"{missing[0]} {LACKING}"))


def _cuda() -> bool:
    """Return whether torch finds a GPU: loaded only where there is a test that asks."""
    import torch

    return torch.cuda.is_available()


@pytest.hookimpl(wrapper=True)  # before all others, who count what failed
def pytest_runtest_logreport(report: pytest.TestReport) -> Iterator[None]:
    """Note which tests could not run; in CI such a one has failed."""
    why = report.longrepr[2] if report.skipped and isinstance(report.longrepr, tuple) else ""
    if why.endswith(LACKING):
        _lacking.setdefault(why.removeprefix("Skipped: "), []).append(report.nodeid)
    if report.skipped and os.environ.get(NO_SKIPS) and not why.endswith(UNINSTALLABLE):
        report.outcome = "failed"
        report.longrepr = f"HAD TO RUN AND DID NOT: {report.nodeid}: {why}"
    yield


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Keep how the run ended, for `tests/services/again.py`."""
    cache = getattr(session.config, "cache", None)  # there is none with -p no:cacheprovider
    if cache and not hasattr(session.config, "workerinput"):
        cache.set(ENDED, int(exitstatus))


def pytest_unconfigure(config: pytest.Config) -> None:
    """Throw away what the stock client kept."""
    shutil.rmtree(os.environ["HF_HOME"], ignore_errors=True)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the tests that could not run, and what they lack."""
    for what, names in _lacking.items():
        terminalreporter.section(f"Not run, because {what}")
        for name in names:
            terminalreporter.write_line(f"  {name}")
    if _lacking:
        terminalreporter.write_line(
            "All other tests ran. To run these too, install what they need;"
            f" a browser can also be named: {NAMED}=/path/to/chrome make test"
        )

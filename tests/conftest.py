"""What tests share: a local Hub of their own, or one for a whole file."""

from __future__ import annotations

import os
import shutil
import tempfile

# The stock client reads these once, at import: no test may upload by Xet, call home, or leave
# models in the cache of whoever runs it.
os.environ["HF_HOME"] = tempfile.mkdtemp(prefix="hubtrain-tests-")
os.environ["HF_HUB_DISABLE_XET"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from standins.localhub import ORGS, USERS, HubServer

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
def shared_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubServer]:
    """One local Hub for all tests of a file: they use repos of their own and break nothing."""
    server = HubServer(tmp_path_factory.mktemp("hub") / "data").start()
    yield server
    server.stop()


NO_SKIPS = "HUBTRAIN_NO_SKIPS"
"""Environment of CI, where everything a test needs is there: a skipped test is a failure."""

_skipped: list[str] = []


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note which tests could not run."""
    if report.skipped and os.environ.get(NO_SKIPS):
        _skipped.append(report.nodeid)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run in CI if a test could not run."""
    if _skipped:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_unconfigure(config: pytest.Config) -> None:
    """Throw away what the stock client kept."""
    shutil.rmtree(os.environ["HF_HOME"], ignore_errors=True)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the tests that could not run, where they had to."""
    for name in _skipped:
        terminalreporter.write_line(f"HAD TO RUN AND DID NOT: {name}")

"""What tests share: a local Hub of their own, or one for a whole file."""

from __future__ import annotations

import os

# The stock client reads these once, at import: no test may upload by Xet or call home.
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

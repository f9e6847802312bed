"""What is left of Spaces when the local Hub, or what guards them, dies."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator

import psutil
import pytest
from standins.localhub import HubServer
from standins.spaces import alive, bill, gone, new_space, visit, wait_for

HubFactory = Callable[..., HubServer]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubServer]:
    server = HubServer(tmp_path_factory.mktemp("hub") / "data", ("ann:write", "bob:write"))
    server.start()
    yield server
    server.stop()


def raw_log(hub: HubServer, name: str) -> list[str]:
    with hub.http() as http, http.stream("GET", f"/api/spaces/{name}/logs/run") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert len(answer.headers.get_list("date")) == 1
        return [line for line in answer.iter_lines() if line.startswith("data: {")]


def test_logs_replay_the_same_after_pause_and_restart_of_the_hub(hub_server: HubFactory) -> None:
    hub = hub_server()
    name = new_space(hub, 'CMD printf "one\\ntwo \\342\\202\\254\\nthree"; exec python app.py')
    wait_for(hub, name)
    hub.api().pause_space(name)
    first = raw_log(hub, name)
    assert [json.loads(line[6:])["data"] for line in first[2:]] == [
        "one\n",
        "two €\n",
        "threehello from app\n",
    ]
    assert raw_log(hub, name) == first
    hub.restart()
    assert raw_log(hub, name) == first


def test_spaces_outlive_a_killed_hub_and_nothing_runs_twice(hub_server: HubFactory) -> None:
    hub = hub_server()
    ticking = "sh -c 'while sleep 0.1; do echo tick; done' & exec python app.py"
    lasting, dying = new_space(hub, f"CMD {ticking}"), new_space(hub)
    for name in (lasting, dying):
        wait_for(hub, name)
    pids, doomed = (visit(hub, name, "/pids").json() for name in (lasting, dying))
    hub.kill9()
    psutil.Process(doomed[0]).kill()
    assert gone(doomed) and all(map(alive, pids))
    time.sleep(0.5)
    hub.start()
    assert visit(hub, lasting, "/pids").json() == pids
    assert wait_for(hub, dying, "RUNTIME_ERROR").raw["errorMessage"].startswith("Exit code: 137")
    before = bill(hub, dying)["seconds"]
    hub.api().pause_space(lasting)
    assert gone(pids) and bill(hub, dying)["seconds"] == before
    log = raw_log(hub, lasting)
    times = [json.loads(line[6:])["timestamp"] for line in log]
    assert times == sorted(times) and sum("tick" in line for line in log) >= 5


def test_a_space_paused_as_the_hub_dies_stays_paused(hub_server: HubFactory) -> None:
    hub = hub_server()
    hub.admin("PUT", "machines", {"grace": 1})
    stubborn = "trap '' TERM; exec python app.py"
    name = new_space(hub, f"CMD {stubborn}")
    wait_for(hub, name)
    pids = visit(hub, name, "/pids").json()
    hub.api().pause_space(name)
    hub.kill9()
    hub.start()
    assert gone(pids) and hub.api().get_space_runtime(name).stage == "PAUSED"


def test_what_loses_its_guard_is_ended(hub: HubServer) -> None:
    name = new_space(hub, 'CMD ["python", "app.py", "stray"]')
    wait_for(hub, name)
    pids = visit(hub, name, "/pids").json()
    shim = psutil.Process(pids[0]).parent()
    assert shim is not None
    shim.kill()
    runtime = wait_for(hub, name, "RUNTIME_ERROR")
    assert "disappeared" in runtime.raw["errorMessage"] and gone(pids)


def test_without_a_hub_a_space_ends_by_itself(hub_server: HubFactory) -> None:
    hub = hub_server()
    hub.admin("PUT", "machines", {"orphan_seconds": 1})
    name = new_space(hub)
    wait_for(hub, name)
    pids = visit(hub, name, "/pids").json()
    hub.kill9()
    assert gone(pids)


def test_sigterm_ends_the_hub_and_all_it_runs(hub_server: HubFactory) -> None:
    hub = hub_server()
    name = new_space(hub, 'CMD ["python", "app.py", "stray"]')
    wait_for(hub, name)
    pids = visit(hub, name, "/pids").json()
    assert hub.stop() == 0
    assert not any(map(alive, pids))
    hub.start()
    assert hub.api().get_space_runtime(name).stage == "STOPPED"
    assert not bill(hub, name)["running"]

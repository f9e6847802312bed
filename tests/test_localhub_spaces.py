"""Spaces of the local Hub: they really run, and a stock client drives them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any, cast

import httpx2
import pytest
from huggingface_hub import HfApi, SpaceHardware
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError
from standins.localhub import HubServer
from standins.spaces import (
    SERVE,
    alive,
    bill,
    commit,
    dockerfile,
    gone,
    host,
    new_space,
    visit,
    wait_for,
)
from standins.waiting import PATIENCE

from localhub.runtime.prices import FLAVORS, GIB, PriceList, memory_option
from localhub.runtime.processes import SHARED

HubFactory = Callable[..., HubServer]
CANARY = "LOCALHUB_TEST_CANARY"
USERS = ("ann:write", "bob:write", "ria:read", "fay:write:free")
SPACE_ENVIRONMENT = {
    *("PATH", "HOME", "TMPDIR", "LANG", "HF_ENDPOINT", "HF_HUB_DISABLE_XET", "SYSTEM"),
    *("GRADIO_SERVER_NAME", "GRADIO_SERVER_PORT", "ACCELERATOR", "CPU_CORES", "MEMORY"),
    *("SPACE_ID", "SPACE_HOST", "SPACE_AUTHOR_NAME", "SPACE_REPO_NAME", "SPACE_TITLE"),
    *("ACCELERATORS", "SPACE_CREATOR_USER_ID", "SPACE_PASS_KEY", *SHARED),
}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubServer]:
    """A Hub that was itself started with a secret in its environment."""
    os.environ[CANARY] = "sings"
    server = HubServer(tmp_path_factory.mktemp("hub") / "data", USERS, ("lab:ann,ria:read",))
    server.start()
    del os.environ[CANARY]
    yield server
    server.stop()


@pytest.fixture
def api(hub: HubServer) -> HfApi:
    return hub.api("ann")


def refused(status: HTTPStatus, call: Callable[[], object]) -> str:
    """Return the words of a refusal, having checked its status."""
    with pytest.raises(HfHubHTTPError) as caught:
        call()
    assert caught.value.response.status_code == status, caught.value
    return str(caught.value)


def flavor(name: str) -> SpaceHardware:
    """Return a flavor as the client declares it, which sends any name."""
    return cast(SpaceHardware, name)


# life


def test_a_space_lives_from_one_post_to_its_pause(hub: HubServer, api: HfApi) -> None:
    name = "ann/whole-life"
    api.create_repo(
        name,
        repo_type="space",
        space_sdk="docker",
        private=True,
        space_secrets=[{"key": "HF_TOKEN", "value": "hush"}],
        space_variables=[{"key": "HUBTRAIN_JOB", "value": "k4x"}],
    )
    assert api.get_space_runtime(name).stage == "NO_APP_FILE"
    commit(hub, name, {"README.md": "---\nsdk: docker\n---\n", "Dockerfile": dockerfile(SERVE)})
    assert api.wait_for_space(name, timeout=60, poll_interval=0.1).stage == "RUNNING"
    assert visit(hub, name).json() == "hello"
    build = "".join(api.fetch_space_logs(name, build=True))
    assert "Build Queued" in build and "--> COPY . . (not run" in build and "DONE" in build
    paused = api.pause_space(name)
    assert (paused.stage, paused.hardware) == ("PAUSED", None)
    run = list(api.fetch_space_logs(name))
    assert run[0].startswith("===== Application Startup at ") and run[2] == "hello from app\n"
    assert visit(hub, name).status_code == HTTPStatus.SERVICE_UNAVAILABLE
    info = api.space_info(name)
    assert (
        info.host == f"http://{host(hub, name)}" and info.runtime and info.runtime.stage == "PAUSED"
    )
    assert info.subdomain == "ann-whole-life"


def test_a_process_finds_its_own_environment_and_none_of_the_hubs(hub: HubServer) -> None:
    name = new_space(
        hub,
        f"ENV PYTHONPATH=/app/lib:/else GREETING=hi\n{SERVE}",
        space_secrets=[{"key": "TOKEN", "value": "hush"}],
        space_variables=[{"key": "GREETING", "value": "hello"}],
    )
    wait_for(hub, name)
    found = visit(hub, name, "/env").json()
    assert {"TOKEN": "hush", "GREETING": "hello"}.items() <= found.items()
    assert set(found) - {"PWD", "LC_CTYPE"} == SPACE_ENVIRONMENT | {
        *("TOKEN", "GREETING", "PYTHONPATH")
    }
    assert CANARY not in found and found["HF_ENDPOINT"] == hub.endpoint
    home = Path(found["HOME"])
    assert found["PYTHONPATH"] == f"{home.parent}/app/lib:/else"
    assert found["SPACE_ID"] == name and found["SPACE_HOST"] == host(hub, name)
    assert (found["ACCELERATOR"], found["CPU_CORES"], found["MEMORY"]) == ("none", "2", "16Gi")


def test_pausing_ends_everything_a_space_started(hub: HubServer, api: HfApi) -> None:
    name = new_space(hub, 'CMD ["python", "app.py", "stray"]')
    wait_for(hub, name)
    pids = visit(hub, name, "/pids").json()
    assert len(pids) == 2 and all(map(alive, pids))
    api.pause_space(name)
    assert gone(pids)


def test_two_spaces_with_one_port_run_at_once(hub: HubServer) -> None:
    names = [new_space(hub) for _ in range(2)]
    for name in names:
        wait_for(hub, name)
    assert [visit(hub, name, "/env").json()["SPACE_ID"] for name in names] == names


def test_a_commit_and_a_variable_start_a_space_anew(hub: HubServer, api: HfApi) -> None:
    name = new_space(hub)
    wait_for(hub, name)
    first = visit(hub, name, "/pids").json()
    api.add_space_variable(name, "COLOUR", "red")
    wait_for(hub, name)
    second = visit(hub, name, "/pids").json()
    assert gone(first) and visit(hub, name, "/env").json()["COLOUR"] == "red"
    commit(hub, name, {"Dockerfile": dockerfile('CMD ["python", "app.py", "again"]')})
    wait_for(hub, name)
    assert gone(second)
    api.pause_space(name)
    assert "hello from app again\n" in list(api.fetch_space_logs(name))


def test_only_a_restart_wakes_a_paused_space(hub: HubServer, api: HfApi) -> None:
    name = new_space(hub)
    wait_for(hub, name)
    api.pause_space(name)
    api.add_space_secret(name, "KEY", "value")
    commit(hub, name, {"more.txt": "more"})
    api.request_space_hardware(name, flavor("cpu-upgrade"))
    assert api.get_space_runtime(name).stage == "PAUSED"
    assert not bill(hub, name)["running"]
    api.restart_space(name)
    runtime = wait_for(hub, name)
    assert (runtime.hardware, bill(hub, name)["costing"]) == ("cpu-upgrade", True)
    api.pause_space(name)


def test_a_deleted_space_ends_and_its_bill_stays(hub: HubServer, api: HfApi) -> None:
    name = new_space(hub)
    wait_for(hub, name)
    pids = visit(hub, name, "/pids").json()
    api.delete_repo(name, repo_type="space")
    assert gone(pids) and not bill(hub, name)["running"]
    assert visit(hub, name).status_code == HTTPStatus.NOT_FOUND


def test_a_copy_has_files_and_variables_but_no_secrets(hub: HubServer, api: HfApi) -> None:
    name = new_space(
        hub,
        space_variables=[{"key": "V", "value": "1"}],
        space_secrets=[{"key": "S", "value": "2"}],
    )
    made = api.duplicate_repo(name, "ann/the-copy", repo_type="space")
    assert made.repo_id == "ann/the-copy"
    wait_for(hub, "ann/the-copy")
    assert list(api.get_space_variables("ann/the-copy")) == ["V"]
    assert api.get_space_secrets("ann/the-copy") == {}


def test_a_volume_is_a_folder_that_commands_find(hub: HubServer, api: HfApi) -> None:
    api.create_repo("ann/shelf", repo_type="dataset", exist_ok=True)
    api.upload_file(
        path_or_fileobj=b"rows", path_in_repo="a.csv", repo_id="ann/shelf", repo_type="dataset"
    )
    name = new_space(hub, 'CMD ["cat", "/data/a.csv"]')
    body = {"volumes": [{"type": "dataset", "source": "ann/shelf", "mountPath": "/data"}]}
    with hub.http() as http:
        assert http.put(f"/api/spaces/{name}/volumes", json=body).is_success
    wait_for(hub, name, "RUNTIME_ERROR")
    deadline = time.monotonic() + PATIENCE
    while "rows" not in "".join(api.fetch_space_logs(name)):
        assert time.monotonic() < deadline
        wait_for(hub, name, "RUNTIME_ERROR")


@pytest.mark.parametrize(
    "volume",
    [{"mountPath": "/data/../../out"}, {"mountPath": "/..", "path": ""}]
    + [{"mountPath": "/data", "path": path} for path in ("../../out", "a/../../..")],
)
@pytest.mark.parametrize("place", ["spaces", "jobs"])
def test_a_volume_stays_inside(
    hub: HubServer, api: HfApi, volume: dict[str, str], place: str
) -> None:
    api.create_repo("ann/inside", repo_type="dataset", exist_ok=True)
    body: dict[str, Any] = {"volumes": [{"type": "dataset", "source": "ann/inside", **volume}]}
    with hub.http() as http:
        if place == "spaces":
            answer = http.put(f"/api/spaces/{new_space(hub)}/volumes", json=body)
        else:
            job = {"command": ["true"], "dockerImage": "python", "flavor": "cpu-basic", **body}
            answer = http.post("/api/jobs/ann", json=job)
    assert answer.status_code == HTTPStatus.BAD_REQUEST
    assert "lead outside" in answer.text


# endings


@pytest.mark.parametrize(
    ("files", "stage", "words"),
    [
        ({"Dockerfile": "FROM a\nFLY me\nCMD x\n"}, "BUILD_ERROR", "line 2: unknown instruction"),
        ({"Dockerfile": "FROM a\nCOPY no.txt .\nCMD x\n"}, "BUILD_ERROR", "no.txt"),
        ({"Dockerfile": "FROM a\nRUN true\n"}, "BUILD_ERROR", "no command"),
        ({"README.md": "# nothing\n"}, "CONFIG_ERROR", "Missing configuration"),
        ({"README.md": "---\nsdk: docker\napp_port: many\n---\n"}, "CONFIG_ERROR", "app_port"),
    ],
)
def test_what_is_wrong_with_the_files_is_told(
    hub: HubServer, api: HfApi, files: dict[str, str], stage: str, words: str
) -> None:
    name = new_space(hub, files=files)
    runtime = wait_for(hub, name, stage)
    assert words in runtime.raw["errorMessage"]
    if stage == "BUILD_ERROR":
        assert words in "".join(api.fetch_space_logs(name, build=True))


def test_a_program_that_ends_leaves_its_code_and_last_words(hub: HubServer) -> None:
    name = new_space(hub, space_hardware="cpu-upgrade")
    wait_for(hub, name)
    with pytest.raises(httpx2.HTTPError):
        visit(hub, name, "/exit").raise_for_status()
    runtime = wait_for(hub, name, "RUNTIME_ERROR")
    message = runtime.raw["errorMessage"]
    assert message.startswith("Exit code: 3. Reason: ") and message.endswith("about to leave")
    cost = bill(hub, name)
    assert not cost["running"] and 0 < cost["usd"] < 0.01


def test_a_program_that_never_answers_is_given_up(hub: HubServer) -> None:
    readme = "---\nsdk: docker\nstartup_duration_timeout: 1s\n---\n"
    name = new_space(hub, 'CMD ["sleep", "60"]', files={"README.md": readme})
    assert "not healthy" in wait_for(hub, name, "RUNTIME_ERROR").raw["errorMessage"]


def test_a_static_space_serves_its_files(hub: HubServer) -> None:
    name = new_space(hub, files={"README.md": "---\nsdk: static\n---\n", "index.html": "<p>hi"})
    wait_for(hub, name)
    assert visit(hub, name).text == "<p>hi"


def test_memory_ends_as_in_a_kernel(hub_server: HubFactory) -> None:
    hub = hub_server(options=("--flavor", "cpu-basic:memory=150Mi"))
    greedy = "x = b'1' * 10**9; import time; time.sleep(60)"
    name = new_space(hub, f'CMD ["python", "-c", "{greedy}"]')
    message = wait_for(hub, name, "RUNTIME_ERROR").raw["errorMessage"]
    assert message == "Exit code: 137. Reason: Memory limit exceeded"


# settings


def test_nobody_reads_a_secret_back(hub: HubServer, api: HfApi) -> None:
    name = new_space(hub, space_secrets=[{"key": "ONE", "value": "canary-1"}])
    api.add_space_secret(name, "TWO", "canary-2", description="a second")
    with hub.http() as http:
        answers = [
            http.get(f"/api/spaces/{name}{path}").text
            for path in ("/secrets", "/variables", "/runtime", "")
        ]
    assert "ONE" in answers[0] and "a second" in answers[0]
    assert not any("canary" in answer for answer in answers)
    api.delete_space_secret(name, "ONE")
    assert set(api.get_space_secrets(name)) == {"TWO"}
    collision = refused(HTTPStatus.BAD_REQUEST, lambda: api.add_space_variable(name, "TWO", "x"))
    assert "Collision" in collision


def test_hardware_and_sleep_times_are_checked(hub: HubServer, api: HfApi) -> None:
    name = new_space(hub)
    words = refused(HTTPStatus.BAD_REQUEST, lambda: api.set_space_sleep_time(name, 300))
    assert "Cannot change the sleep time for cpu-basic Spaces" in words
    refused(HTTPStatus.BAD_REQUEST, lambda: api.request_space_hardware(name, flavor("h100")))
    refused(HTTPStatus.BAD_REQUEST, lambda: api.request_space_hardware(name, flavor("h200")))
    hub.admin("PUT", "machines", {"credits": {"ann": False}})
    refused(
        HTTPStatus.PAYMENT_REQUIRED, lambda: api.request_space_hardware(name, flavor("t4-small"))
    )
    hub.admin("PUT", "machines", {"credits": {"ann": True}})
    api.request_space_hardware(name, flavor("t4-small"), sleep_time=3600)
    runtime = wait_for(hub, name)
    assert (runtime.hardware, runtime.sleep_time) == ("t4-small", 3600)
    assert visit(hub, name, "/env").json()["ACCELERATOR"] == "t4-small"
    api.pause_space(name)
    intervals = bill(hub, name)["intervals"]
    assert [one["flavor"] for one in intervals][-1] == "t4-small"
    assert intervals[-1]["usdPerHour"] == 0.4


def test_a_space_that_nobody_visits_sleeps_until_somebody_does(hub: HubServer, api: HfApi) -> None:
    name = new_space(hub, space_hardware="cpu-upgrade", space_sleep_time=1)
    wait_for(hub, name, "SLEEPING")
    assert not bill(hub, name)["running"]
    assert visit(hub, name).status_code == HTTPStatus.SERVICE_UNAVAILABLE
    wait_for(hub, name)
    api.pause_space(name)


def test_building_takes_as_long_as_it_is_told_and_costs_nothing(hub: HubServer) -> None:
    hub.admin("PUT", "machines", {"build_seconds": 60})
    name = new_space(hub, space_hardware="t4-small")
    assert wait_for(hub, name, "BUILDING").hardware is None
    assert name not in {one["name"] for one in hub.admin("GET", "bills")}
    hub.admin("PUT", "machines", {"build_seconds": 0})
    hub.api("ann").restart_space(name, factory_reboot=True)
    wait_for(hub, name)
    hub.api("ann").pause_space(name)


def test_who_may_what(hub: HubServer, api: HfApi) -> None:
    api.create_repo("lab/open", repo_type="space", space_sdk="docker", private=True)
    reader, stranger = hub.api("ria"), hub.api("bob")
    assert reader.get_space_runtime("lab/open").stage == "NO_APP_FILE"
    for call in (reader.pause_space, reader.get_space_secrets):
        refused(HTTPStatus.FORBIDDEN, lambda call=call: call("lab/open"))  # type: ignore[misc]
    with pytest.raises(RepositoryNotFoundError):
        stranger.pause_space("lab/open")
    words = refused(
        HTTPStatus.PAYMENT_REQUIRED,
        lambda: hub.api("fay").create_repo("fay/x", repo_type="space", space_sdk="docker"),
    )
    assert "paid plan" in words
    hub.api("fay").create_repo("fay/x", repo_type="space", space_sdk="static")


# prices


def test_the_price_list_has_the_shape_that_clients_read(api: HfApi) -> None:
    hardware = {one.name: one for one in api.list_spaces_hardware()}
    small = hardware["t4-small"]
    assert (small.cpu, small.ram, small.unit_label) == ("4 vCPU", "15 GB", "minute")
    assert small.unit_cost_micro_usd == 6667
    assert small.accelerator is not None and small.accelerator.vram == "16 GB"
    assert hardware["cpu-basic"].unit_cost_micro_usd == 0
    assert "h200" not in hardware
    assert len({one.name for one in FLAVORS}) == len(FLAVORS)


def test_a_flavor_can_have_less_memory_than_it_says() -> None:
    name, size = memory_option("cpu-basic:memory=1.5Gi")
    flavor = PriceList({name: size}).find("cpu-basic", space=True)
    assert flavor is not None and flavor.memory_limit == 1.5 * GIB
    for wrong in ("cpu-basic", "cpu-basic:memory=much", "cpu-basic:disk=1Gi"):
        with pytest.raises(ValueError, match="memory=SIZE"):
            memory_option(wrong)


def test_a_follower_sees_lines_as_they_come(hub: HubServer, api: HfApi) -> None:
    name = new_space(hub, "CMD for i in 1 2 3; do echo $i; sleep 0.2; done; exit 1")
    lines = [line for line in api.fetch_space_logs(name, follow=True) if line[:1].isdigit()]
    deadline = time.monotonic() + PATIENCE
    while len(lines) < 3 and time.monotonic() < deadline:
        lines = [line for line in api.fetch_space_logs(name, follow=True) if line[:1].isdigit()]
    assert lines == ["1\n", "2\n", "3\n"]

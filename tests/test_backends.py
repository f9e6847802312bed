"""One set of tests for every backend there is, and what users write to name one.

A backend is judged on its bench, which gives it somewhere to run: a folder of this machine, or the
local Hub, which really runs Spaces (`tests/benches/`). The worker is a stand-in; all else is the
product.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import SecretStr
from standins.bench import CANARY, Bench, bench_of, without_spaces
from standins.localhub import HubServer
from standins.waiting import until

import backends
from backends.errors import (
    JobGone,
    UnknownBackend,
    UnknownFlavor,
)
from backends.handle import Handle
from backends.spaces import Spaces
from orchestrator.settings.autotrain import PLACES_NOT_YET
from worker.params import settings_of
from worker.redact import Redactor


@pytest.fixture
def hub(shared_hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    monkeypatch.setenv("HF_ENDPOINT", shared_hub.endpoint)
    yield from without_spaces(shared_hub)


@pytest.fixture(params=backends.names())
def bench(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Bench]:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HUBTRAIN_HOME", str(tmp_path / "home"))
    with bench_of(request.param).open(request) as bench:
        yield bench


def test_what_it_is_like_is_answered(bench: Bench) -> None:
    backend = bench.backend
    for question in ("sees_my_files", "keeps_disk", "bills", "on_hub"):
        assert isinstance(getattr(backend, question, None), bool), f"{backend.name}: {question}"
    assert all(repo.startswith("ann/") for repo in bench.backend.writes("ann", "bot"))
    assert backend.on_hub or not backend.needs, "only the Hub asks its accounts for something"


def test_no_option_is_a_secret(bench: Bench) -> None:
    backend = type(bench.backend)
    for setting in settings_of(backend.options):
        hide = Redactor({setting.name.upper(): CANARY})
        assert hide(CANARY[3:]) == CANARY[3:], f"{setting.name} is written into the job"
        assert setting.type is not SecretStr
        assert setting.name.startswith(f"{backend.name}_"), "options of all are flags of all"


def test_plan_is_pure_and_equal_twice(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody answers there
    spec = bench.job()
    first, second = bench.backend.plan(spec), bench.backend.plan(spec)
    assert first == second
    assert repr(first) == repr(second)
    assert json.dumps(first.to_json()) == json.dumps(second.to_json())


def test_a_job_lives_and_is_found_stopped_and_removed(bench: Bench) -> None:
    spec = bench.job()
    assert bench.backend.find(bench.plan(spec)) is None
    request, handle = bench.launch(spec)
    assert Handle.parse(str(handle)) == handle
    assert bench.backend.find(request) == handle
    assert bench.backend.recall(handle) == spec
    assert bench.backend.status(handle).alive
    until(lambda: "line 4" in list(bench.backend.logs(handle)))
    lines = list(bench.backend.logs(handle))
    assert list(bench.backend.logs(handle, skip=3)) == lines[3:]
    bench.backend.cancel(handle)
    bench.backend.cancel(handle)
    until(lambda: not bench.backend.status(handle).alive)
    assert not bench.backend.status(handle).costing
    bench.backend.remove(handle)
    bench.backend.remove(handle)
    bench.backend.cancel(handle)
    with pytest.raises(JobGone):
        bench.backend.status(handle)
    with pytest.raises(JobGone):
        bench.backend.recall(handle)
    assert list(bench.backend.logs(handle)) == []
    assert list(bench.backend.logs(handle, follow=True)) == []
    assert bench.backend.find(request) is None


def test_launching_twice_makes_one(bench: Bench) -> None:
    request, handle = bench.launch(bench.job())
    assert bench.backend.launch(request, {"HF_TOKEN": CANARY}) == handle
    until(lambda: "line 4" in list(bench.backend.logs(handle)))
    started = [line for line in bench.backend.logs(handle) if line == "line 4"]
    assert len(started) == 1


def test_launching_at_once_from_two_sides_makes_one(bench: Bench) -> None:
    request = bench.plan(bench.job())
    with ThreadPoolExecutor(4) as pool:
        handles = list(pool.map(lambda _: bench.backend.launch(request, {}), range(4)))
    assert len(set(handles)) == 1
    until(lambda: "line 4" in list(bench.backend.logs(handles[0])))
    assert list(bench.backend.logs(handles[0])).count("line 4") == 1


def test_following_gives_every_line_once_and_ends_with_the_machine(bench: Bench) -> None:
    _, handle = bench.launch(bench.job(lines=30))
    seen = []
    for line in bench.backend.logs(handle, skip=1, follow=True):
        seen.append(line)
        if line == "line 29":
            bench.backend.cancel(handle)
    assert seen == list(bench.backend.logs(handle))[1:]


def test_a_job_whose_process_dies_is_not_alive(bench: Bench) -> None:
    _, handle = bench.launch(bench.job(params={"lines": 1, "die": True}))
    status = until(lambda: (s := bench.backend.status(handle)).alive or s)
    status = until(lambda: None if (s := bench.backend.status(handle)).alive else s)
    assert not status.costing
    assert "died as asked" in list(bench.backend.logs(handle, follow=True))


def test_a_secret_is_in_nothing_that_is_kept(bench: Bench) -> None:
    request, handle = bench.launch(bench.job())
    until(lambda: "line 4" in list(bench.backend.logs(handle)))
    told = list(bench.backend.logs(handle))
    assert any("key True" in line for line in told), "the worker got it"
    kept = bench.kept(request) + repr(request) + json.dumps(request.to_json()) + str(handle)
    assert CANARY not in kept
    assert CANARY not in "".join(command_lines())


def command_lines() -> Iterator[str]:
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield file.read_text(errors="replace")
        except OSError:  # it has ended meanwhile
            continue


def test_the_price_list_is_cheapest_first_and_names_what_users_write(bench: Bench) -> None:
    flavors = bench.backend.flavors()
    assert flavors == sorted(flavors, key=lambda f: f.usd_per_hour)
    for flavor in flavors:
        assert flavor.memory_bytes > 1e9 and flavor.cpus >= 1
        for name in (flavor.name, *flavor.short_names):
            assert bench.backend.flavor(name) == flavor
    with pytest.raises(UnknownFlavor, match=r"has no machine 'abacus'\.\n.*\$\d+\.\d\d/h"):
        bench.backend.flavor("abacus")


@pytest.mark.parametrize(
    ("written", "backend", "flavor"),
    [
        ("local", "local", None),
        ("local-cli", "local", None),
        ("spaces", "spaces", None),
        ("spaces-cpu", "spaces", "cpu-basic"),
        ("spaces-cpuf", "spaces", "cpu-basic"),
        ("spaces-t4", "spaces", "t4-small"),
        ("spaces-t4s", "spaces", "t4-small"),
        ("spaces-t4m", "spaces", "t4-medium"),
        ("spaces-a10g", "spaces", "a10g-small"),
        ("spaces-a10gs", "spaces", "a10g-small"),
        ("spaces-a10gl", "spaces", "a10g-large"),
        ("spaces-a100", "spaces", "a100-large"),
        ("Spaces_A100", "spaces", "a100-large"),
        ("spaces-l40sx4", "spaces", "l40sx4"),
    ],
)
def test_what_users_write_after_backend(written: str, backend: str, flavor: str | None) -> None:
    place = backends.resolve(written)
    assert (place.backend.name, place.flavor) == (backend, flavor)


def test_an_unknown_backend_is_answered_with_the_nearest_and_their_prices(hub: HubServer) -> None:
    with pytest.raises(UnknownBackend) as refused:
        backends.resolve("space-a100")
    said = refused.value.message.splitlines()
    assert said[0] == f"There is no backend 'space-a100'; there are {', '.join(backends.names())}."
    assert said[1].split() == ["spaces-a100", "$2.50/h"]
    assert len(said) == 7 and re.fullmatch(
        r"  `hubtrain backends` lists all \d+ with prices.", said[6]
    )
    assert refused.value.fix == "Did you mean --backend spaces-a100?"


def test_an_unknown_backend_is_answered_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(UnknownBackend, match=r"there are .*local, .*spaces.*\n  spaces-a100\n"):
        backends.resolve("space-a100")


def test_an_unknown_flavor_names_the_nearest(hub: HubServer) -> None:
    with pytest.raises(UnknownFlavor) as refused:
        Spaces().flavor("a10g-larg")
    assert refused.value.fix == "Did you mean --backend spaces-a10g-large?"


def test_an_unknown_gpu_is_answered_with_a_short_list_nearest_first(hub: HubServer) -> None:
    with pytest.raises(UnknownFlavor) as refused:
        Spaces().flavor("b10g")
    said = refused.value.message.splitlines()
    assert said[0] == "spaces has no machine 'b10g'."
    assert "a10g" in said[1] and said[1].endswith("/h")
    assert len(said) == 7 and max(map(len, said)) < 80
    assert refused.value.fix == "", "a b10g is no misspelt a10g"


def test_a_machine_without_its_place_is_guessed(hub: HubServer) -> None:
    with pytest.raises(UnknownBackend) as refused:
        backends.resolve("t4")
    assert refused.value.fix == "Did you mean --backend jobs-t4?"


def test_places_that_are_not_there_yet_are_told_as_that() -> None:
    with pytest.raises(UnknownBackend, match=r"Inference Endpoints .* not there yet"):
        backends.resolve("ep-aws-useast1-m", PLACES_NOT_YET)
    assert not PLACES_NOT_YET.keys() & set(backends.names())

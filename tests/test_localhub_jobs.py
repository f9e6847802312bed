"""Jobs of the local Hub: they really run, and a stock client drives them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest
from huggingface_hub import HfApi, JobInfo, Volume
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError
from standins.localhub import HubServer
from standins.spaces import SERVE, bill, new_space, wait_for
from standins.waiting import PATIENCE, until

from localhub.runtime.jobs.cron import Schedule
from localhub.runtime.processes import SHARED

HubFactory = Callable[..., HubServer]
FINAL = {"COMPLETED", "ERROR", "CANCELED"}
TELL = "import json, os, sys; print(json.dumps([sys.argv[1:], dict(os.environ), os.listdir()]))"
SLEEP = "import time; print('asleep', flush=True); time.sleep(60)"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubServer]:
    server = HubServer(
        tmp_path_factory.mktemp("hub") / "data", ("ann:write", "bob:write"), ("lab:ann",)
    )
    server.start()
    yield server
    server.stop()


@pytest.fixture
def api(hub: HubServer) -> HfApi:
    return hub.api("ann")


def submit(api: HfApi, code: str, *words: str, **job: Any) -> JobInfo:
    """Run some Python as a Job of ann's."""
    job = {"image": "python:3.12", "namespace": "ann", **job}
    return api.run_job(command=["python", "-c", code, *words], **job)


def ended(api: HfApi, job: JobInfo, *stages: str, seconds: float = PATIENCE) -> JobInfo:
    """Wait until a Job is in one of these stages, any final one if none is named."""
    deadline = time.monotonic() + seconds
    while True:
        found = api.inspect_job(job_id=job.id, namespace=job.owner.name)
        if found.status.stage in (stages or FINAL):
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


def logs(api: HfApi, job: JobInfo, **how: Any) -> list[str]:
    return list(api.fetch_job_logs(job_id=job.id, namespace="ann", **how))


def refused(status: HTTPStatus, call: Callable[[], object]) -> None:
    with pytest.raises(HfHubHTTPError) as caught:
        call()
    assert caught.value.response.status_code == status, caught.value


def test_a_job_runs_with_what_it_was_given_and_nothing_else(hub: HubServer, api: HfApi) -> None:
    job = submit(api, TELL, "a word", env={"GREETING": "hi"}, secrets={"TOKEN": "canary"})
    assert job.status.stage == "SCHEDULING" and job.url == f"{hub.endpoint}/jobs/ann/{job.id}"
    (line,) = logs(api, job, follow=True)
    words, environment, files = json.loads(line)
    assert words == ["a word"] and files == []
    assert set(environment) - {"LC_CTYPE"} == {
        *("PATH", "HOME", "TMPDIR", "LANG", "HF_ENDPOINT", "HF_HUB_DISABLE_XET"),
        *(
            "GRADIO_SERVER_NAME",
            "GRADIO_SERVER_PORT",
            "ACCELERATOR",
            "ACCELERATORS",
            "CPU_CORES",
            "MEMORY",
        ),
        *("JOB_ID", "GREETING", "TOKEN", *SHARED),
    }
    assert (environment["JOB_ID"], environment["TOKEN"]) == (job.id, "canary")
    done = ended(api, job)
    assert done.status.stage == "COMPLETED" and done.secrets == {"TOKEN": None}
    assert done.durations is not None and done.durations.running_secs is not None
    with hub.http() as http:
        assert "canary" not in http.get("/api/jobs/ann").text


def test_a_job_that_fails_is_tried_again_as_often_as_allowed(api: HfApi) -> None:
    job = submit(api, "print('try', flush=True); raise SystemExit(3)", attempts=2)
    done = ended(api, job)
    assert done.status.message == "Job failed with exit code: 3. Reason: Error"
    assert done.status.stage == "ERROR" and done.retry == 1
    assert logs(api, job) == ["try", "try"]


def test_time_and_cancelling_end_a_job_and_its_bill(hub: HubServer, api: HfApi) -> None:
    late, unwanted = submit(api, SLEEP, timeout=1), submit(api, SLEEP, flavor="cpu-upgrade")
    ended(api, unwanted, "RUNNING")
    api.cancel_job(job_id=unwanted.id, namespace="ann")
    assert ended(api, late).status.message == "Job timeout"
    assert ended(api, unwanted).status.stage == "CANCELED"
    cost = bill(hub, f"ann/{unwanted.id}")
    assert cost["usd"] > 0 and not cost["running"]
    with hub.http() as http:
        assert http.get(f"/api/jobs/ann/{unwanted.id}").json()["timeoutSeconds"] == 1800
    assert list(api.fetch_job_metrics(job_id=late.id, namespace="ann")) == []


def test_logs_follow_and_tail_and_replay(api: HfApi) -> None:
    job = submit(api, "import time\nfor i in range(4): print(i, flush=True); time.sleep(0.1)")
    assert logs(api, job, follow=True) == ["0", "1", "2", "3"]
    assert logs(api, job) == ["0", "1", "2", "3"] and logs(api, job, tail=2) == ["2", "3"]


def test_a_dropped_stream_is_resumed_without_a_gap(hub: HubServer, api: HfApi) -> None:
    code = "import time\nfor i in range(6): print(i, flush=True); time.sleep(0.05)"
    hub.fault({"drop_stream_after": 3}, path=r"/logs$")
    try:
        assert logs(api, submit(api, code), follow=True) == [str(i) for i in range(6)]
    finally:
        hub.clear_faults()


def test_metrics_tell_what_a_job_uses(api: HfApi) -> None:
    job = submit(api, SLEEP)
    until(lambda: logs(api, job) == ["asleep"])
    (sample,) = api.fetch_job_metrics(job_id=job.id, namespace="ann")
    assert sample["memory_used_bytes"] > 1_000_000
    assert (sample["cpu_millicores"], sample["memory_total_bytes"]) == (2000, 16 * 1024**3)
    api.cancel_job(job_id=job.id, namespace="ann")


def test_lists_filter_and_page(hub: HubServer, api: HfApi) -> None:
    jobs = [submit(api, "pass", labels={"set": "listed", "n": str(n)}) for n in range(3)]
    for job in jobs:
        ended(api, job)
    listed = [job.id for job in api.list_jobs(namespace="ann", labels={"set": "listed"})]
    assert listed == [job.id for job in reversed(jobs)]
    one = api.list_jobs(namespace="ann", labels={"n": "1"}, status="COMPLETED")
    assert [job.id for job in one] == [jobs[1].id]
    assert list(api.list_jobs(namespace="ann", labels={"n": "1"}, status="RUNNING")) == []
    with hub.http() as http:
        page = http.get("/api/jobs/ann?label=set%3Dlisted&limit=2")
        rest = http.get(page.headers["link"].partition(">")[0][1:])
    assert [job["id"] for job in [*page.json(), *rest.json()]] == listed
    api.update_job_labels(job_id=jobs[0].id, labels={"new": "one"}, namespace="ann")
    assert ended(api, jobs[0]).labels == {"new": "one"}
    again = api.rerun_job(job_id=jobs[1].id, namespace="ann")
    assert ended(api, again).status.stage == "COMPLETED" and again.id != jobs[1].id


def test_a_job_can_be_a_space_and_read_a_repo(hub: HubServer, api: HfApi) -> None:
    space = new_space(hub, f"ENV FROM_IMAGE=yes\n{SERVE}")
    wait_for(hub, space)
    api.create_repo("ann/rows", repo_type="dataset", exist_ok=True)
    api.upload_file(
        path_or_fileobj=b"1,2", path_in_repo="d/a.csv", repo_id="ann/rows", repo_type="dataset"
    )
    code = "import os, sys; print(os.environ['FROM_IMAGE'], os.path.exists('app.py'))"
    job = submit(
        api,
        f"{code}; print(open(sys.argv[1]).read())",
        "/data/a.csv",
        image=f"hf.co/spaces/{space}",
        volumes=[Volume(type="dataset", source="ann/rows", mount_path="/data", path="d")],
    )
    assert logs(api, job, follow=True) == ["yes True", "1,2"]
    assert job.space_id == space
    hub.api("ann").pause_space(space)


def test_an_exposed_port_has_an_address_for_members(hub: HubServer, api: HfApi) -> None:
    code = "import os, http.server as h, functools\nport = int(os.environ['GRADIO_SERVER_PORT'])"
    serve = "h.ThreadingHTTPServer(('127.0.0.1', port), h.SimpleHTTPRequestHandler).serve_forever()"
    job = submit(api, f"{code}\n{serve}", expose=[7860])
    running = ended(api, job, "RUNNING")
    assert running.status.expose_urls == [f"http://{job.id}--7860.localhost:{hub.port}"]

    def visit(user: str | None) -> int:
        headers = {"Host": f"{job.id}--7860.localhost:{hub.port}"}
        if user:
            headers["Authorization"] = f"Bearer {hub.tokens[user]}"
        return httpx2.get(hub.endpoint, headers=headers, timeout=PATIENCE).status_code

    until(lambda: visit("ann") == HTTPStatus.OK)
    assert visit("bob") == visit(None) == HTTPStatus.NOT_FOUND
    api.update_job_expose(job_id=job.id, expose=[], expose_public=[7860], namespace="ann")
    assert visit(None) == HTTPStatus.OK
    api.cancel_job(job_id=job.id, namespace="ann")


def test_what_a_job_may_not_be(hub: HubServer, api: HfApi) -> None:
    bad = HTTPStatus.BAD_REQUEST
    refused(bad, lambda: submit(api, "pass", flavor="h100"))
    refused(bad, lambda: submit(api, "pass", attempts=0))
    refused(bad, lambda: submit(api, "pass", labels={"model": "Qwen3-0.6B"}))
    bucket = Volume(type="bucket", source="ann/b", mount_path="/data")
    refused(HTTPStatus.NOT_FOUND, lambda: submit(api, "pass", volumes=[bucket]))
    refused(HTTPStatus.FORBIDDEN, lambda: submit(hub.api("bob"), "pass"))
    api.create_repo("ann/closed", repo_type="dataset")
    api.update_repo_settings("ann/closed", repo_type="dataset", gated="auto")
    closed = [Volume(type="dataset", source="ann/closed", mount_path="/data")]
    with pytest.raises(GatedRepoError):
        submit(hub.api("bob"), "pass", namespace="bob", volumes=closed)
    hub.admin("PUT", "machines", {"credits": {"ann": False}})
    refused(HTTPStatus.PAYMENT_REQUIRED, lambda: submit(api, "pass"))
    hub.admin("PUT", "machines", {"credits": {"ann": True}})
    job = submit(api, "pass")
    refused(
        HTTPStatus.NOT_FOUND,
        lambda: hub.api("bob").inspect_job(job_id=job.id, namespace="ann"),
    )
    missing = ended(api, api.run_job(image="x", command=["no-such-program"], namespace="ann"))
    assert "No such file" in (missing.status.message or "")


def test_jobs_have_flavors_that_spaces_have_not(api: HfApi) -> None:
    hardware = {one.name: one for one in api.list_jobs_hardware()}
    assert hardware["h200x8"].accelerator is not None
    assert hardware["cpu-basic"].unit_cost_micro_usd == 167


# by the calendar


def test_a_scheduled_job_is_kept_changed_and_started(api: HfApi) -> None:
    made = api.create_scheduled_job(
        image="x", command=["python", "-c", "print(1)"], schedule="@daily", namespace="ann"
    )
    which = {"scheduled_job_id": made.id, "namespace": "ann"}
    assert made.status.next_job_run_at is not None and made.status.next_job_run_at.hour == 0
    api.suspend_scheduled_job(**which)
    assert api.inspect_scheduled_job(**which).suspend
    api.resume_scheduled_job(**which)
    job = api.trigger_scheduled_job(**which)
    assert job.initiator is not None and job.initiator.type == "scheduled-job"
    assert ended(api, job).status.stage == "COMPLETED"
    (listed,) = api.list_scheduled_jobs(namespace="ann")
    assert listed.status.last_job is not None and listed.status.last_job.id == job.id
    with pytest.raises(HfHubHTTPError, match="neither one of"):
        api.create_scheduled_job(image="x", command=["x"], schedule="often", namespace="ann")
    api.delete_scheduled_job(**which)
    assert list(api.list_scheduled_jobs(namespace="ann")) == []


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("@hourly", "2026-02-27T10:00"),
        ("*/20 9 * * *", "2026-02-27T09:40"),
        ("0 9 * * 1", "2026-03-02T09:00"),
        ("15,45 8-9 1 * *", "2026-03-01T08:15"),
        ("0 0 29 2 *", "2028-02-29T00:00"),
        ("0 12 13 * 5", "2026-02-27T12:00"),
        ("0 0 * * 7", "2026-03-01T00:00"),
    ],
)
def test_schedules_come_round(schedule: str, expected: str) -> None:
    now = datetime(2026, 2, 27, 9, 20, tzinfo=UTC)  # a Friday
    assert Schedule(schedule).after(now) == datetime.fromisoformat(f"{expected}+00:00")


@pytest.mark.parametrize(
    "schedule", ["", "@often", "61 * * * *", "* * * *", "a * * * *", "0 0 30 2 *"]
)
def test_what_is_no_schedule_is_refused(schedule: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Schedule(schedule)


# the Hub's own deaths


def test_jobs_outlive_a_killed_hub(hub_server: HubFactory, tmp_path: Path) -> None:
    hub, back = hub_server(), tmp_path / "back"
    api = hub.api("ann")
    code = (
        "import time, os; print(os.getpid(), flush=True)\n"
        f"while not os.path.exists({str(back)!r}): time.sleep(0.1)\n"
        "print('done')"
    )
    lasting, stopped = submit(api, code), submit(api, SLEEP)
    for job in (lasting, stopped):
        ended(api, job, "RUNNING")
    hub.kill9()
    hub.start()
    back.touch()
    api = hub.api("ann")
    assert ended(api, lasting).status.stage == "COMPLETED"
    (pid, done) = logs(api, lasting)
    assert done == "done" and not psutil.pid_exists(int(pid))
    hub.restart()
    found = ended(hub.api("ann"), stopped)
    assert (found.status.stage, found.status.message) == ("CANCELED", "The Hub was stopped")

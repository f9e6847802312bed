"""Faults on demand: each breaks the chosen request, in the chosen way, and no other."""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Callable, Iterator
from queue import Queue

import httpx2
import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError
from standins.localhub import HubServer

COMMIT = r"/commit/main$"


@pytest.fixture
def hub(shared_hub: HubServer) -> Iterator[HubServer]:
    """The file's Hub, with a repo `ann/m`, an empty log and no faults."""
    shared_hub.clear_faults()
    shared_hub.api().delete_repo("ann/m", missing_ok=True)
    shared_hub.api().create_repo("ann/m")
    shared_hub.forget_requests()
    yield shared_hub
    shared_hub.clear_faults()


def upload(api: HfApi, text: bytes) -> str:
    return api.upload_file(path_or_fileobj=text, path_in_repo="x.txt", repo_id="ann/m").oid


def test_status_hits_the_nth_request_only(hub: HubServer) -> None:
    hub.fault({"status": 503, "retry_after": 1}, method="POST", path=COMMIT, nth=2)
    api = hub.api()
    upload(api, b"1")
    with pytest.raises(HfHubHTTPError) as info:
        upload(api, b"2")
    assert info.value.response.status_code == 503
    assert info.value.response.headers["retry-after"] == "1"
    upload(api, b"3")
    statuses = [one["status"] for one in hub.requests(COMMIT, "POST")]
    assert statuses == [200, 503, 200]
    rule = hub.admin("GET", "faults")[0]
    assert (rule["matched"], rule["happened"]) == (3, 1)


def test_status_hits_the_first_few_or_all(hub: HubServer) -> None:
    def statuses() -> list[int]:
        with hub.http() as http:
            return [http.get("/api/whoami-v2").status_code for _ in range(4)]

    hub.fault({"status": 429}, path="whoami", times=2)
    assert statuses() == [429, 429, 200, 200]
    hub.clear_faults()
    hub.fault({"status": 500}, path="whoami", times=None)
    assert statuses() == [500] * 4


def test_dropped_before_nothing_happens_dropped_after_it_does(hub: HubServer) -> None:
    api = hub.api()
    before = api.model_info("ann/m").sha
    hub.fault({"drop": True}, method="POST", path=COMMIT)
    with pytest.raises(httpx2.TransportError):
        upload(api, b"1")
    assert api.model_info("ann/m").sha == before
    hub.clear_faults()
    hub.fault({"drop": True, "after": True}, method="POST", path=COMMIT)
    with pytest.raises(httpx2.TransportError):
        upload(api, b"2")
    assert api.model_info("ann/m").sha != before
    assert len(api.list_repo_commits("ann/m")) == 2


def test_delay_makes_a_client_wait(hub: HubServer) -> None:
    hub.fault({"delay": 0.6}, path="whoami")
    started = time.monotonic()
    with hub.http() as http:
        assert http.get("/api/whoami-v2").status_code == 200
        assert time.monotonic() - started >= 0.6
        hub.fault({"delay": 5}, path="whoami")
        with pytest.raises(httpx2.TimeoutException):
            http.get("/api/whoami-v2", timeout=0.3)


def test_answer_breaks_off_in_the_middle(hub: HubServer) -> None:
    upload(hub.api(), b"x" * 50_000)
    hub.fault({"drop_after_bytes": 1000}, path="/resolve/")
    with hub.http() as http:
        with pytest.raises(httpx2.RemoteProtocolError):
            http.get("/ann/m/resolve/main/x.txt")
        assert len(http.get("/ann/m/resolve/main/x.txt").content) == 50_000


def test_log_stream_breaks_after_some_events(hub: HubServer) -> None:
    api = hub.api()
    code = "for n in range(6): print(n)"
    job = api.run_job(
        image="python:3.11", command=["python", "-c", code], flavor="cpu-basic", namespace="ann"
    )
    api.wait_for_job(job.id, namespace="ann", timeout=60, poll_interval=0.2)
    hub.fault({"drop_stream_after": 3}, path=f"/api/jobs/ann/{job.id}/logs")
    read: list[str] = []

    def follow() -> None:
        with hub.http() as http, http.stream("GET", f"/api/jobs/ann/{job.id}/logs") as answer:
            read.extend(line for line in answer.iter_lines() if line.startswith("data: {"))

    with pytest.raises(httpx2.RemoteProtocolError):
        follow()
    assert len(read) == 3
    follow()
    assert len(read) >= 3 + 6 and read[3:6] == read[:3]
    assert len(hub.requests(f"/{job.id}/logs")) == 2


def test_stock_client_retries_through_a_busy_hub(hub: HubServer) -> None:
    hub.fault({"status": 503}, path=r"/preupload/")
    upload(hub.api(), b"1")
    assert [one["status"] for one in hub.requests("/preupload/")] == [503, 200]


def test_faults_need_the_admin_token(hub: HubServer) -> None:
    with hub.http("ann") as http:
        assert http.get("/_local/requests").status_code == 401
        assert http.post("/_local/faults", json={"fault": {"drop": True}}).status_code == 401
    with pytest.raises(httpx2.HTTPStatusError):
        hub.fault({"explode": True})


def test_log_tells_who_asked_for_what(hub: HubServer) -> None:
    hub.api("bob").model_info("ann/m")
    hub.api(None).model_info("ann/m")
    upload(hub.api(), b"z" * 1000)
    assert [one["user"] for one in hub.requests(r"^/api/models/ann/m$")] == ["bob", None]
    commit = hub.requests(COMMIT)[0]
    assert (commit["method"], commit["user"], commit["status"]) == ("POST", "ann", 200)
    assert commit["received_bytes"] > 1000


def test_revoked_token_and_lost_role_work_at_once(hub: HubServer) -> None:
    hub.admin("POST", "users", {"name": "carl"})
    token = hub.admin("POST", "tokens", {"user": "carl", "role": "write"})["token"]
    carl = HfApi(endpoint=hub.endpoint, token=token)
    hub.admin("POST", "roles", {"org": "lab", "user": "carl", "role": "write"})
    carl.create_repo("lab/carls")
    hub.admin("POST", "roles", {"org": "lab", "user": "carl", "role": None})
    with pytest.raises(HfHubHTTPError):
        carl.create_repo("lab/more")
    hub.admin("PUT", "tokens", {"token": token, "role": "read"})
    with pytest.raises(HfHubHTTPError, match="write token"):
        carl.create_repo("carl/x")
    hub.admin("PUT", "tokens", {"token": token, "revoked": True})
    with pytest.raises(HfHubHTTPError, match="Invalid user token"):
        carl.whoami()
    hub.admin("PUT", "tokens", {"token": token, "revoked": False})
    assert carl.whoami()["name"] == "carl"
    hub.api().delete_repo("lab/carls")


def test_quota_ends_in_429(hub_server: Callable[..., HubServer]) -> None:
    hub = hub_server(options=("--api-quota", "3"))
    with hub.http("ann") as http:
        answers = [http.get("/api/whoami-v2") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[2].headers["ratelimit"].startswith('"api";r=0;t=')
    assert answers[0].headers["ratelimit-policy"] == '"fixed window";"api";q=3;w=300'
    with hub.http("bob") as http:
        assert http.get("/api/whoami-v2").status_code == 200


def test_webhook_tells_of_a_commit(hub: HubServer) -> None:
    told: Queue[tuple[str | None, dict[str, object]]] = Queue()

    class Listener(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            told.put((self.headers["X-Webhook-Secret"], body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    listener = http.server.HTTPServer(("127.0.0.1", 0), Listener)
    thread = threading.Thread(target=listener.serve_forever)
    thread.start()
    api = hub.api()
    try:
        url = f"http://127.0.0.1:{listener.server_port}/hook"
        hook = api.create_webhook(
            url=url, watched=[{"type": "model", "name": "ann/m"}], domains=["repo"], secret="s3"
        )
        assert [one.id for one in api.list_webhooks()] == [hook.id]
        sha = upload(api, b"1")
        secret, body = told.get(timeout=60)
        assert secret == "s3"
        refs = body["updatedRefs"]
        assert isinstance(refs, list) and refs[0]["newSha"] == sha
        api.disable_webhook(hook.id)
        upload(api, b"2")
        api.delete_webhook(hook.id)
        assert api.list_webhooks() == [] and told.empty()
        with pytest.raises(HfHubHTTPError, match="loopback"):
            api.create_webhook(
                url="http://example.invalid/", watched=[{"type": "model", "name": "ann/m"}]
            )
    finally:
        listener.shutdown()
        thread.join()
        listener.server_close()

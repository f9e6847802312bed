"""A local Hub as tests use it: a real process on a free port, killed and restarted at will."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from huggingface_hub import HfApi

from standins.waiting import PATIENCE

USERS = ("ann:write", "bob:read")
ORGS = ("lab:ann",)
START_SECONDS = PATIENCE
STOP_SECONDS = PATIENCE


@dataclass
class HubServer:
    """`python -m localhub` with a data folder that outlives its process."""

    data: Path
    users: tuple[str, ...] = USERS
    orgs: tuple[str, ...] = ORGS
    options: tuple[str, ...] = ()
    port: int = 0
    ready: dict[str, Any] = field(default_factory=dict)
    process: subprocess.Popen[str] | None = None

    @property
    def endpoint(self) -> str:
        return str(self.ready["endpoint"])

    @property
    def pid(self) -> int:
        return int(self.ready["pid"])

    @property
    def tokens(self) -> dict[str, str]:
        """Token of every user, by name."""
        return {user["name"]: user["token"] for user in self.ready["users"]}

    @property
    def admin_token(self) -> str:
        return str(self.ready["admin"])

    def start(self) -> HubServer:
        """Start the process and wait for its ready line."""
        # Who starts a Hub does not lend it an account or the address of another one.
        environ = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "localhub", "--json", "--data", str(self.data)),
                *("--port", str(self.port)),
                *(word for user in self.users for word in ("--user", user)),
                *(word for org in self.orgs for word in ("--org", org)),
                *self.options,
            ],
            stdout=subprocess.PIPE,
            text=True,
            env=environ,
        )
        watchdog = threading.Timer(START_SECONDS, self.process.kill)
        watchdog.start()
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        watchdog.cancel()
        assert line, f"the local Hub did not start: exit {self.process.wait()}"
        self.ready = json.loads(line)
        self.port = int(self.endpoint.rsplit(":", 1)[1])
        return self

    def stop(self) -> int:
        """End it as a service manager would; return the exit code."""
        return self._end(subprocess.Popen.terminate)

    def kill9(self) -> None:
        """End it as a power cut would."""
        self._end(subprocess.Popen.kill)

    def _end(self, how: Callable[[subprocess.Popen[str]], None]) -> int:
        if self.process is None:
            return 0
        process, self.process = self.process, None
        how(process)
        try:
            return process.wait(STOP_SECONDS)
        finally:
            process.kill()
            process.wait()
            if process.stdout:
                process.stdout.close()

    def restart(self) -> HubServer:
        """Start it again on the same port and data, after ending it if it still runs."""
        self.stop()
        return self.start()

    def api(self, user: str | None = "ann") -> HfApi:
        """Return a stock client for a user, or for nobody."""
        return HfApi(endpoint=self.endpoint, token=self.tokens[user] if user else False)

    def http(self, user: str | None = "ann") -> httpx2.Client:
        """Return a plain HTTP client that sends a user's token; close it, or use `with`."""
        headers = {"Authorization": f"Bearer {self.tokens[user]}"} if user else {}
        return httpx2.Client(base_url=self.endpoint, headers=headers, timeout=PATIENCE)

    def env(self, user: str | None = "ann", **more: str) -> dict[str, str]:
        """Return the environment of a subprocess that works on this Hub as a user."""
        home = self.data.parent / f"home-{user}"
        home.mkdir(exist_ok=True)
        environ = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
        environ |= {
            "HF_ENDPOINT": self.endpoint,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HOME": str(home),
        }
        if user:
            environ["HF_TOKEN"] = self.tokens[user]
        return environ | more

    def admin(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Call one of the `/_local` paths and return its JSON."""
        headers = {"Authorization": f"Bearer {self.admin_token}"}
        answer = httpx2.request(
            method, f"{self.endpoint}/_local/{path}", json=body, headers=headers, timeout=PATIENCE
        )
        answer.raise_for_status()
        return answer.json()

    def fault(
        self,
        fault: dict[str, Any],
        *,
        method: str = "",
        path: str = "",
        nth: int = 1,
        times: int | None = 1,
    ) -> None:
        """Break matching requests; `path` is a regular expression (see `localhub.faults`)."""
        match = {"path": path} | ({"method": method} if method else {})
        self.admin("POST", "faults", {"match": match, "nth": nth, "times": times, "fault": fault})

    def clear_faults(self) -> None:
        """Break nothing any more."""
        self.admin("DELETE", "faults")

    def requests(self, path: str = "", method: str = "") -> list[dict[str, Any]]:
        """Return the requests so far whose path matches a regular expression."""
        found = self.admin("GET", f"requests?{httpx2.QueryParams(path=path, method=method)}")
        assert isinstance(found, list)
        return found

    def forget_requests(self) -> None:
        """Empty the log of requests."""
        self.admin("DELETE", "requests")

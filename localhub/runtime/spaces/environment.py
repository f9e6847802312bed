"""The complete environment of a Space's process: all of its variables are listed here."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from localhub.runtime.prices import Flavor
from localhub.runtime.processes import clean_environment
from localhub.runtime.site import Site
from localhub.runtime.spaces.build import Built
from localhub.runtime.spaces.records import Space
from localhub.storage.repos import Repo

NO_XET = {"HF_HUB_DISABLE_XET": "1"}
"""This Hub does not speak it, and the stock client has no other way back."""


def subdomain(full_name: str) -> str:
    """Return the first part of a Space's host: `Ann/My.Space` is `ann-my-space`."""
    return re.sub(r"[^a-z0-9]+", "-", full_name.lower()).strip("-")


def host(hub: Site, repo: Repo) -> str:
    """Return where the Space's own pages are: `ann-my-space.localhost:8080`."""
    return f"{subdomain(repo.full_name)}.localhost:{hub.port}"


def client_id(repo: int) -> str:
    """Return the OAuth client id of a Space."""
    return str(_uuid(f"space-{repo}"))


def client_secret(hub: Site, repo: int) -> str:
    """Return the OAuth client secret of a Space; the same for as long as the Hub lives."""
    return str(_uuid(f"{hub.secret('oauth')}-{repo}"))


def pass_key(hub: Site, repo: int) -> str:
    """Return the key that the Hub's proxy adds to every request it passes to a Space."""
    return hashlib.sha256(f"pass {hub.secret('oauth')}-{repo}".encode()).hexdigest()


def _uuid(text: str) -> str:
    digest = hashlib.sha256(text.encode()).hexdigest()
    return "-".join((digest[:8], digest[8:12], digest[12:16], digest[16:20], digest[20:32]))


def of_space(
    hub: Site, repo: Repo, space: Space, *, built: Built, flavor: Flavor, folder: Path
) -> dict[str, str]:
    """Return the whole environment: the image's, the owner's settings, then the Hub's own.

    An image that is really run brings its own, and keeps its `PATH` and `HOME`.
    """
    _, image = built.here(folder / "app")
    return {
        **image,
        **{name: setting.value for name, setting in space.variables.items()},
        **{name: setting.value for name, setting in space.secrets.items()},
        **(clean_environment(folder, image.get("PATH", "")) if built.image is None else NO_XET),
        **hub.machines.described(flavor),
        **_identity(hub, repo, built),
        **(_login(hub, space) if space.oauth is not None else {}),
        "HF_ENDPOINT": hub.endpoint,
        # A container's port is behind the Hub. A process's is open to the whole machine.
        "SPACE_PASS_KEY": pass_key(hub, repo.id),
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "GRADIO_SERVER_PORT": str(space.port),
    }


def _identity(hub: Site, repo: Repo, built: Built) -> dict[str, str]:
    creator = hub.accounts.find(repo.creator)
    return {
        "SYSTEM": "spaces",
        "SPACE_ID": repo.full_name,
        "SPACE_HOST": host(hub, repo),
        "SPACE_AUTHOR_NAME": repo.ns,
        "SPACE_REPO_NAME": repo.name,
        "SPACE_TITLE": built.config.title or repo.name,
        "SPACE_CREATOR_USER_ID": creator.id if creator else "",
    }


def _login(hub: Site, space: Space) -> dict[str, str]:
    return {
        "OAUTH_CLIENT_ID": client_id(space.repo),
        "OAUTH_CLIENT_SECRET": client_secret(hub, space.repo),
        "OAUTH_SCOPES": " ".join(space.oauth or []),
        "OPENID_PROVIDER_URL": hub.endpoint,
    }

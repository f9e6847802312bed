"""The Space that runs the app for whoever may visit it, each with their own account at the Hub."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files as package_files

from backends.deploy.spaces.request import (
    APP,
    DEPLOYMENT_TAG,
    SCHEME,
    SpaceDeployment,
    refuse_name,
)
from backends.handle import Handle
from backends.hub.files import RepoFile
from backends.hub.hardware import FREE
from backends.hub.space import TAG, front_page
from backends.image import sources
from backends.packages import WORKER, described, requirements

APP_NAME = "hubtrain-app"
"""What the Space is called where nobody says."""

SCOPES = ("manage-repos", "jobs")
"""What the app may do in the name of those who sign in, in the Hub's words
(https://huggingface.co/docs/hub/oauth): make, write and delete their repos, Spaces among them, and
run Jobs. `write-repos` alone makes no repos."""

LOGIN_MINUTES = 30 * 24 * 60
"""How long a login holds: the longest that the Hub allows, since the machines of jobs have it."""

PACKAGES = ("backends", "orchestrator", "space_template", "worker")
EXTRA = "app"


def app_space(owner: str, name: str, *, private: bool) -> SpaceDeployment:
    """Return the Space of the app. Raises `PlanRefused` for a name that no Space can have."""
    refuse_name(name)
    repo_id = f"{owner}/{name}"
    return SpaceDeployment(
        repo_id=repo_id,
        model=APP,
        private=private,
        flavor=FREE,
        usd_per_hour=0.0,
        sleep_seconds=None,
        needs_token=False,
        files=tuple(_files(repo_id, private=private)),
    )


def command(repo_id: str, *, private: bool = True) -> str:
    """Return the command that makes this Space, or brings it up to date."""
    owner, _, name = repo_id.partition("/")
    named = f" --deploy-name {name}" * (name != APP_NAME)
    return f"hubtrain app --on-space --username {owner}{named}{' --deploy-public' * (not private)}"


def _files(repo_id: str, *, private: bool) -> Iterator[RepoFile]:
    """Yield what the Space is made of: the packages of hubtrain, and what they need."""
    template = package_files("space_template")
    made = {
        "README.md": _readme(repo_id, private=private),
        "Dockerfile": (template / "app.Dockerfile").read_text("utf-8"),
        "constraints.txt": (template / "constraints.txt").read_text("utf-8"),
        "requirements.txt": "".join(f"{one}\n" for one in requirements([EXTRA], WORKER)),
        "hubtrain.dist-info/METADATA": described(),
    }
    content = {path: text.encode() for path, text in made.items()}
    for package in PACKAGES:
        content |= sources(package)
    return (RepoFile(path, content[path]) for path in sorted(content))


def _readme(repo_id: str, *, private: bool) -> str:
    return front_page(
        "app.md",
        title=repo_id.partition("/")[2],
        flavor=FREE,
        tags=(TAG, DEPLOYMENT_TAG),
        scopes=SCOPES,
        minutes=LOGIN_MINUTES,
        again=command(repo_id, private=private),
        handle=Handle(SCHEME, repo_id),
    )

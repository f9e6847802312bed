"""The files of a Space: what the image copies is there, and the Hub can read the front page."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from fnmatch import fnmatch
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from backends.deploy.spaces.app import app_space
from backends.errors import PlanRefused
from backends.hub.space import PAGE_PORT
from backends.image import image_files
from backends.packages import WORKER, requirements
from backends.spaces.request import SpaceRequest, plan
from worker import tasks
from worker.contract import DataRef, JobSpec, Machine, ModelRef, PushTarget

ROOT = Path(__file__).parent.parent
TEMPLATE = ROOT / "space_template"
GPU = Machine(backend="spaces", flavor="t4-small", accelerators=1, usd_per_hour=0.4)
CPU = Machine(backend="spaces", flavor="cpu-basic")


def request_for(**changes: Any) -> SpaceRequest:
    return plan(
        JobSpec(
            **{
                "job_id": "k4x7qp",
                "project": "support-bot",
                "owner": "ann",
                "task": "llm",
                "params": {},
                "model": ModelRef(name="demo/tiny", revision="a" * 40),
                "data": DataRef(repo_id="ann/data", revision="b" * 40, train=("train.parquet",)),
                "push": PushTarget(repo_id="ann/support-bot"),
                "machine": GPU,
                **changes,
            }
        )
    )


@pytest.fixture(scope="module", params=[GPU, CPU], ids=["gpu", "cpu"])
def files(request: pytest.FixtureRequest) -> dict[str, str]:
    return {f.path: f.content.decode() for f in request_for(machine=request.param).files}


def pins(text: str) -> dict[str, Requirement]:
    """Return the requirements in a file by name, without its comments and options."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    read = [Requirement(line) for line in lines if line and not line.startswith("-")]
    return {canonicalize_name(one.name): one for one in read}


def instructions(dockerfile: str) -> list[tuple[str, str]]:
    joined = dockerfile.replace("\\\n", " ")
    lines = (line for line in joined.splitlines() if line and not line.startswith("#"))
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines)]


def front_matter(readme: str) -> dict[str, Any]:
    _, matter, _ = readme.split("---\n", 2)
    read: dict[str, Any] = yaml.safe_load(matter)
    return read


def test_the_image_copies_only_what_is_sent(files: dict[str, str]) -> None:
    copied = [rest for word, rest in instructions(files["Dockerfile"]) if word == "COPY"]
    for copy in copied:
        *sources, _ = [word for word in copy.split() if not word.startswith("--")]
        for source in sources:
            assert any(fnmatch(f, source) or f.startswith(f"{source}/") for f in files), source
    needed = {"worker", "*.json", "torch.txt", "requirements.txt", "constraints.txt"}
    assert needed <= set(" ".join(copied).split())


def test_nothing_in_the_image_belongs_to_root_or_runs_as_root(files: dict[str, str]) -> None:
    steps = instructions(files["Dockerfile"])
    assert "--uid 1000" in next(rest for word, rest in steps if word == "RUN")
    assert ("USER", "user") in steps
    order = [word for word, _ in steps]
    assert order.index("USER") < order.index("WORKDIR") < order.index("COPY")
    assert all("--chown=user" in rest for word, rest in steps if word == "COPY")
    assert steps[-1] == ("CMD", '["python", "-m", "worker"]')


def test_the_port_is_the_same_everywhere(files: dict[str, str]) -> None:
    assert f"GRADIO_SERVER_PORT={PAGE_PORT}" in files["Dockerfile"]
    assert ("EXPOSE", str(PAGE_PORT)) in instructions(files["Dockerfile"])
    assert front_matter(files["README.md"])["app_port"] == PAGE_PORT


def test_the_front_page_says_what_the_hub_needs(files: dict[str, str]) -> None:
    matter = front_matter(files["README.md"])
    assert matter == {
        "title": "support-bot (k4x7qp)",
        "colorFrom": "gray",
        "colorTo": "yellow",
        "sdk": "docker",
        "app_port": PAGE_PORT,
        "hf_oauth": True,
        "pinned": False,
        "startup_duration_timeout": "30m",
        "suggested_hardware": json.loads(files["job.json"])["machine"]["flavor"],
        "tags": ["hubtrain", "hubtrain-job-k4x7qp"],
        "models": ["demo/tiny"],
        "datasets": ["ann/data"],
    }


@pytest.mark.parametrize("name", ["no", "1e5", "null", "a_b.c-d"])
def test_names_that_yaml_would_read_otherwise_stay_names(name: str) -> None:
    request = request_for(project=name, model=ModelRef(name=name), push=PushTarget(repo_id="a/b"))
    matter = front_matter(request.readme)
    assert matter["models"] == [name]
    assert matter["title"] == f"{name} (k4x7qp)"


def test_the_template_itself_is_what_is_sent(files: dict[str, str]) -> None:
    assert files["Dockerfile"] == (TEMPLATE / "Dockerfile").read_text()
    sent, kept = pins(files["constraints.txt"]), pins((TEMPLATE / "constraints.txt").read_text())
    assert {**sent, "torch": kept["torch"]} == kept


def test_every_requirement_is_pinned_and_none_is_for_developers(files: dict[str, str]) -> None:
    pinned = pins(files["constraints.txt"])
    needed = pins(files["requirements.txt"])
    assert {"torch", "trl", "gradio", "pydantic", "huggingface-hub"} <= set(needed)
    assert not set(needed) & {"pytest", "ruff", "mypy", "hubtrain", "torchvision"}
    for name, one in needed.items():
        pin = next(iter(pinned[name].specifier))
        assert pin.operator == "==" and one.specifier.contains(pin.version), str(one)


@pytest.mark.parametrize(("machine", "kind"), [(GPU, "gpu"), (CPU, "cpu")])
def test_a_machine_gets_the_torch_of_its_kind_and_no_other(machine: Machine, kind: str) -> None:
    request = request_for(machine=machine)
    files = {f.path: f.content.decode() for f in request.files}
    assert files["torch.txt"] == (TEMPLATE / f"torch-{kind}.txt").read_text()
    torch = pins(files["torch.txt"])["torch"]
    assert pins(files["constraints.txt"])["torch"] == torch, "nothing can bring another one"
    assert pins(files["requirements.txt"])["torch"].specifier.contains(
        next(iter(torch.specifier)).version
    ), "and it is one that the program works with"
    assert request.torch == str(torch) == request.to_json()["torch"]
    assert f"an image with {torch}" in repr(request)


def test_the_torch_for_gpus_comes_from_pypi_and_that_for_cpus_from_pytorch() -> None:
    """Which CUDA the one for GPUs is built for is asked by `make image-check`."""
    gpu, cpu = ((TEMPLATE / f"torch-{kind}.txt").read_text() for kind in ("gpu", "cpu"))
    assert "index-url" not in gpu and "https://download.pytorch.org/whl/cpu" in cpu
    (pin,) = pins(gpu)["torch"].specifier
    assert pin.operator == "==" and "+" not in pin.version
    assert str(pins(cpu)["torch"]).endswith("+cpu")


def test_torch_is_a_layer_of_its_own_before_the_rest(files: dict[str, str]) -> None:
    installs = [rest for word, rest in instructions(files["Dockerfile"]) if "pip install" in rest]
    assert installs == [
        "pip install --user --no-deps --requirement torch.txt",
        "pip install --user --requirement requirements.txt --constraint constraints.txt",
    ]


def test_an_image_that_needs_no_torch_has_none() -> None:
    files = {path: text.decode() for path, text in image_files(["worker"], 1).items()}
    assert "gradio" in pins(files["requirements.txt"])
    assert not pins(files["torch.txt"])
    assert "torch.txt" in files["Dockerfile"], "one Dockerfile serves every task"


@pytest.mark.parametrize("name", tasks.names())
def test_no_package_brings_torch_or_cuda_into_an_image_that_is_to_have_none(name: str) -> None:
    files = {p: text.decode() for p, text in image_files(tasks.load(name).extras, 0).items()}
    brought = brought_by(pins(files["requirements.txt"]).values())
    assert ("torch" in brought) is bool(pins(files["torch.txt"]))
    assert not {one for one in brought if one.startswith(("nvidia", "cuda", "triton"))}


def brought_by(needed: Iterable[Requirement]) -> set[str]:
    """Return the names of all that an image installs for these, as the packages here declare it.

    What torch would bring itself is left out: that of CPUs brings nothing.
    """
    found: dict[str, set[str]] = {}
    waiting = list(needed)
    while waiting:
        one = waiting.pop()
        name, extras = canonicalize_name(one.name), set(one.extras) | {""}
        new = extras - found.setdefault(name, set())
        found[name] |= new
        with suppress(metadata.PackageNotFoundError):  # it is for other machines alone
            listed = metadata.requires(name) or [] if new and name != "torch" else []
            more = map(Requirement, listed)
            waiting += [r for r in more if any(_applies(r, extra) for extra in new)]
    return set(found)


def _applies(one: Requirement, extra: str) -> bool:
    return one.marker is None or one.marker.evaluate({**WORKER, "extra": extra})


def test_requirements_are_the_images_and_not_the_laptops() -> None:
    mac = {**WORKER, "sys_platform": "darwin"}
    assert "bitsandbytes>=0.50" in requirements(["llm"], WORKER)
    assert "bitsandbytes>=0.50" not in requirements(["llm"], mac)


def test_the_whole_worker_is_sent_and_nothing_else_of_the_house(files: dict[str, str]) -> None:
    sent = {path for path in files if path.startswith("worker/")}
    there = {
        str(f.relative_to(ROOT))
        for f in (ROOT / "worker").rglob("*")
        if f.is_file() and "__pycache__" not in f.parts
    }
    assert sent == there
    own = {"Dockerfile", "README.md", "job.json"}
    own |= {"torch.txt", "requirements.txt", "constraints.txt"}
    assert set(files) - sent == own


def test_what_is_sent_runs_without_the_rest_of_the_house(
    files: dict[str, str], tmp_path: Path
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    code = (
        "import sys, worker.contract, worker.tasks\n"
        "assert worker.contract.__file__.startswith(sys.argv[1])\n"
        "[worker.tasks.load(name) for name in worker.tasks.names()]\n"
        "job = worker.contract.JobSpec.model_validate_json(open('job.json').read())\n"
        "assert not {'orchestrator', 'backends'} & set(sys.modules), 'more than was sent'\n"
        "print(job.job_id)"
    )
    told = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    assert told.stdout.strip() == "k4x7qp"


def test_the_job_is_in_the_space_and_no_secret_could_be(files: dict[str, str]) -> None:
    assert JobSpec.model_validate_json(files["job.json"]).project == "support-bot"
    assert not any(re.search(r"hf_[A-Za-z0-9]{20}", text) for text in files.values())


@pytest.fixture(scope="module")
def app() -> dict[str, bytes]:
    """The files of the Space that runs the app."""
    return {f.path: f.content for f in app_space("ann", "hubtrain-app", private=True).files}


def test_the_app_asks_for_the_least_and_runs_as_nobody_in_particular(app: dict[str, bytes]) -> None:
    matter = front_matter(app["README.md"].decode())
    assert matter["hf_oauth"] is True and matter["app_port"] == PAGE_PORT
    assert matter["hf_oauth_scopes"] == ["manage-repos", "jobs"]
    assert matter["hf_oauth_expiration_minutes"] == 30 * 24 * 60
    steps = instructions(app["Dockerfile"].decode())
    assert steps[0] == ("FROM", "python:3.11-slim")
    words = [word for word, _ in steps]
    assert "--uid 1000 user" in steps[1][1] and words.index("USER") < words.index("COPY")
    assert all("--chown=user" in rest for word, rest in steps if word == "COPY")
    pinned, needed = pins(app["constraints.txt"].decode()), pins(app["requirements.txt"].decode())
    assert {"gradio", "mcp"} <= set(needed) <= set(pinned) and "torch" not in needed
    with pytest.raises(PlanRefused, match="cannot be the name of a Space"):
        app_space("ann", "a--b", private=True)


def test_the_app_knows_in_its_image_what_tasks_need(app: dict[str, bytes], tmp_path: Path) -> None:
    """It is not installed there: what it says of itself lies beside its code."""
    for path, content in app.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    code = (
        "from importlib import metadata; from backends.packages import requirements;"
        "print(metadata.distribution('hubtrain').locate_file('.').resolve());"
        "print(requirements(['llm']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [str(tmp_path.resolve()), str(requirements(["llm"]))]

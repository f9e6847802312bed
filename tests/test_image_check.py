"""What `make image-check` goes by: which index pip asks, and which GPU runs which kernels."""

from __future__ import annotations

from pathlib import Path

import image_check
import pytest

from backends.image import image_files
from localhub.runtime.prices import FLAVORS

MIRROR = "https://mirror.example/simple"


def test_pip_asks_one_index_and_it_may_be_the_users_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pip = tmp_path / "pip.conf"
    pip.write_text(
        f"[global]\nindex-url = {MIRROR}\nextra-index-url = {MIRROR}/more\ncert = /others\n"
        "[install]\nconstraint = /some/pins.txt\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(pip))
    monkeypatch.setenv("PIP_FIND_LINKS", "/some/wheels")
    monkeypatch.setenv("PIP_CERT", "/some/certificates")
    seen = {k: v for k, v in image_check.pip_environment().items() if k.startswith("PIP_")}
    assert seen["PIP_INDEX_URL"] == MIRROR
    assert seen["PIP_CERT"] == "/some/certificates"
    assert seen["PIP_CONFIG_FILE"] != str(pip)
    assert not {"PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PIP_CONSTRAINT"} & set(seen)


def test_it_installs_what_the_dockerfile_installs(tmp_path: Path) -> None:
    dockerfile = tmp_path / "Dockerfile"
    dockerfile.write_bytes(image_files(["llm"], 1)["Dockerfile"])
    installed = [words[-1] for words in image_check.installs(dockerfile)]
    assert installed == ["torch.txt", "constraints.txt"]


def test_kernels_serve_their_own_generation_up_to_their_number() -> None:
    cu126 = {(7, 5), (8, 0), (8, 6), (9, 0)}
    assert image_check.runs((8, 9), cu126), "an L4 runs what was made for an A10G"
    assert not image_check.runs((12, 0), cu126)
    assert not image_check.runs((8, 0), {(8, 6), (9, 0)})


def test_every_gpu_of_the_price_list_is_known() -> None:
    rented = {flavor.accelerator.model for flavor in FLAVORS if flavor.accelerator}
    assert rented <= set(image_check.CAPABILITY)

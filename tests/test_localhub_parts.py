"""The local Hub's pure parts: patterns, cards, pointers."""

from __future__ import annotations

import pytest
import yaml

from localhub.api.card import front_matter
from localhub.api.patterns import ignored, lfs_patterns, matches
from localhub.storage.gitobjects import blob_id, pointer, read_pointer, tree_id
from localhub.storage.repos import GITATTRIBUTES


@pytest.mark.parametrize(
    ("path", "large"),
    [
        ("model.safetensors", True),
        ("deep/er/model.safetensors", True),
        ("saved_model/1/variables.data", True),
        ("logs/events.out.tfevents.123", True),
        ("a.tar.gz", True),
        ("README.md", False),
        ("safetensors", False),
        ("x.binary", False),
    ],
)
def test_what_goes_to_lfs_by_name(path: str, large: bool) -> None:
    assert matches(lfs_patterns(GITATTRIBUTES), path) is large


@pytest.mark.parametrize(
    ("path", "out"),
    [
        ("a.pyc", True),
        ("deep/a.pyc", True),
        ("keep.pyc", False),
        ("build/x", True),
        ("build", False),
        ("docs/only/here.txt", True),
        ("other/docs/only/here.txt", False),
    ],
)
def test_what_gitignore_leaves_out(path: str, out: bool) -> None:
    text = "# comment\n*.pyc\n!keep.pyc\nbuild/\n/docs/only\n"
    assert ignored(text, path) is out


def test_front_matter_is_read_or_refused() -> None:
    assert front_matter("---\nlicense: mit\ndate: 2026-01-02\n---\n# Hi") == {
        "license": "mit",
        "date": "2026-01-02",
    }
    assert front_matter("# no metadata\n---\na: b\n---\n") == {}
    with pytest.raises(yaml.YAMLError):
        front_matter("---\na: [\n---\n")
    with pytest.raises(TypeError):
        front_matter("---\n- a\n---\n")


def test_pointers_round_trip() -> None:
    sha256 = "ab" * 32
    assert read_pointer(pointer(sha256, 12)) == (sha256, 12)
    assert read_pointer(b"version https://git-lfs.github.com/spec/v1\n") is None


def test_ids_of_nothing_are_gits() -> None:
    assert blob_id(b"") == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
    assert tree_id([]) == "4b825dc642cb6eb9a060e54bf8d69288fbee4904"

"""The folder a local job leaves its model in: whole, ours, and nobody else's."""

from __future__ import annotations

from pathlib import Path

import pytest

from worker.output import MARKER_FILE, contents, is_model_file, put, settle


def model(folder: Path, *names: str, text: str = "new") -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def texts(folder: Path) -> dict[str, str]:
    files = (p for p in folder.rglob("*") if p.is_file() and p.name != MARKER_FILE)
    return {p.relative_to(folder).as_posix(): p.read_text() for p in files}


def test_an_old_adapter_does_not_stay_beside_new_weights(tmp_path: Path) -> None:
    old = model(tmp_path / "a", "adapter_model.safetensors", "adapter_config.json", "t/x.json")
    put(old, tmp_path / "bot", "aaa", overwrite=False)
    model(tmp_path / "bot", "notes.txt", "t/mine.txt", ".git/HEAD", text="mine")
    new = model(tmp_path / "b", "model.safetensors", "README.md")
    assert put(new, tmp_path / "bot", "bbb", overwrite=True) == tmp_path / "bot"
    mine = {"notes.txt": "mine", "t/mine.txt": "mine", ".git/HEAD": "mine"}
    assert texts(tmp_path / "bot") == {"model.safetensors": "new", "README.md": "new", **mine}
    there = contents(tmp_path / "bot")
    assert there is not None and there.job_id == "bbb"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b", "bot"]


def test_a_folder_of_somebody_else_is_left_alone_and_the_model_lies_beside_it(
    tmp_path: Path,
) -> None:
    model(tmp_path / "bot", "README.md", text="mine")
    new = model(tmp_path / "b", "model.safetensors", "README.md")
    assert put(new, tmp_path / "bot", "bbb", overwrite=False) == tmp_path / "bot-bbb"
    assert texts(tmp_path / "bot") == {"README.md": "mine"}
    assert texts(tmp_path / "bot-bbb") == {"model.safetensors": "new", "README.md": "new"}


def test_what_a_job_left_is_replaced_by_the_one_that_goes_on_with_it(tmp_path: Path) -> None:
    put(
        model(tmp_path / "a", "model.safetensors", text="old"),
        tmp_path / "bot",
        "aaa",
        overwrite=False,
    )
    for continued, at in (((), "bot-bbb"), (("zzz", "aaa"), "bot")):
        new = model(tmp_path / "b", "model.safetensors")
        kept = put(new, tmp_path / "bot", "bbb", continued=continued, overwrite=False)
        assert kept == tmp_path / at and texts(kept) == {"model.safetensors": "new"}


def test_what_is_overwritten_of_somebody_else_is_moved_aside_and_misleads_no_loader(
    tmp_path: Path,
) -> None:
    model(tmp_path / "bot", "README.md", "adapter_config.json", "events.jsonl", text="mine")
    new = model(tmp_path / "b", "model.safetensors", "README.md", "events.jsonl")
    put(new, tmp_path / "bot", "bbb", overwrite=True)
    assert texts(tmp_path / "bot") == {
        "model.safetensors": "new",
        "README.md": "new",
        "events.jsonl": "new",
        "README.md.before-bbb": "mine",
        "events.jsonl.before-bbb": "mine",
        "adapter_config.json.before-bbb": "mine",
    }


def test_models_of_every_task_are_known_by_their_files() -> None:
    for name in ("model.safetensors", "pytorch_model.bin", "adapter_config.json", "model.skops"):
        assert is_model_file(name)
    assert not is_model_file("README.md") and not is_model_file("notes.txt")


def test_a_copy_that_fails_leaves_the_earlier_model_whole(tmp_path: Path) -> None:
    put(model(tmp_path / "a", "model.safetensors"), tmp_path / "bot", "aaa", overwrite=False)
    broken = tmp_path / "b"
    broken.mkdir()
    (broken / "model.safetensors").symlink_to(tmp_path / "nowhere")
    with pytest.raises(OSError, match=r"model\.safetensors"):
        put(broken, tmp_path / "bot", "bbb", overwrite=True)
    assert texts(tmp_path / "bot") == {"model.safetensors": "new"}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b", "bot"]


def test_a_swap_killed_in_the_middle_is_finished_later(tmp_path: Path) -> None:
    put(model(tmp_path / "a", "model.safetensors", text="old"), tmp_path / "bot", "aaa",
        overwrite=False)  # fmt: skip
    model(tmp_path / "bot", "notes.txt", text="mine")
    (tmp_path / "bot").rename(tmp_path / ".bot.bbb.old")  # killed before the second rename
    settle(tmp_path / "bot")
    assert texts(tmp_path / "bot") == {"model.safetensors": "old", "notes.txt": "mine"}
    (tmp_path / "bot").rename(tmp_path / ".bot.bbb.old")
    model(tmp_path / "bot", "model.safetensors", text="newer")  # killed after it
    settle(tmp_path / "bot")
    assert texts(tmp_path / "bot") == {"model.safetensors": "newer", "notes.txt": "mine"}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "bot"]


def test_a_file_in_its_place_and_a_link_to_a_folder(tmp_path: Path) -> None:
    (tmp_path / "bot").write_text("mine")
    new = model(tmp_path / "b", "model.safetensors")
    assert put(new, tmp_path / "bot", "bbb", overwrite=True) == tmp_path / "bot-bbb"
    assert (tmp_path / "bot").read_text() == "mine"
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    put(new, tmp_path / "link", "ccc", overwrite=False)
    assert texts(tmp_path / "disk") == {"model.safetensors": "new"}
    assert (tmp_path / "link").is_symlink()


def test_a_marker_cannot_name_files_elsewhere(tmp_path: Path) -> None:
    model(tmp_path, "precious", text="mine")
    model(tmp_path / "bot", MARKER_FILE, text='{"job_id": "x", "files": ["../precious", "/etc"]}')
    put(model(tmp_path / "b", "model.safetensors"), tmp_path / "bot", "bbb", overwrite=True)
    assert (tmp_path / "precious").read_text() == "mine"

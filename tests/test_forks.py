"""Processes that a training forks to make its batches do not wait for threads that they lack."""

from __future__ import annotations

import os
import signal

import pytest

pytest.importorskip("torch")


def test_a_fork_tokenizes_after_its_parent_has(monkeypatch: pytest.MonkeyPatch) -> None:
    from tiny_bert import tokenizer

    from worker.engine import devices

    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "true")  # as the worker has it
    devices.forks_use_one_thread()
    many, tokens = ["the quick brown fox"] * 2000, tokenizer()
    tokens(many)
    child = os.fork()
    if not child:
        signal.alarm(60)  # else it would wait for ever
        tokens(many)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0

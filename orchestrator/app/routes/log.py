"""`/log?id=JOB`: all that a job has printed, as a file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse, StreamingResponse

from orchestrator.app.base import App
from orchestrator.jobs.lines import printed
from worker.errors import HubtrainError


def mount(web: FastAPI, app: App) -> None:
    """Add the address to the app."""

    @web.get("/log", include_in_schema=False)
    def log(id: str) -> Any:
        try:
            record = app.client.records.get(id)
            lines = printed(app.client, record)
            first = next(lines, "")
        except HubtrainError as error:
            return PlainTextResponse(str(error), 404)
        named = f'attachment; filename="{record.job_id}.log"'
        return StreamingResponse(
            _text(first, lines),
            media_type="text/plain; charset=utf-8",
            headers={"content-disposition": named},
        )


def _text(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield f"{first}\n"
    try:
        for line in rest:
            yield f"{line}\n"
    except HubtrainError as error:
        yield f"[the rest cannot be read: {error.message}]\n"

"""The examples: found, counted, and shown to the task with the model's own tokenizer."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from orchestrator.data.sources import DataSource
from orchestrator.preflight.inspecting import Inspector
from orchestrator.preflight.model import BaseModel
from orchestrator.preflight.report import Findings
from worker.errors import BadData
from worker.reading import Measured, Table
from worker.reading.classes import has_images
from worker.reading.folders import PACK_ANEW
from worker.splits import Split
from worker.task import DataReport, Finding, ModelFacts

MEASURED_BYTES = 256 << 20
"""Decoded bytes of a local split that are read to count its rows and find broken ones."""

MEASURED_BYTES_REMOTE = 32 << 20
"""The same for a split on the Hub, which has to come over the wire first."""

SHOWN_BYTES = 8 << 20
"""Decoded bytes of a split that the task looks at, tokenizer and all: some two million tokens,
which take two cores some two seconds."""

SHOWN_IMAGE_BYTES = 32 << 20
"""The same of rows with images: some hundreds of them, which go to the task as they are stored."""


def measure(source: DataSource) -> dict[str, Measured]:
    """Count the rows of each split. Raises `BadData` for files that cannot be read."""
    most = MEASURED_BYTES_REMOTE if source.remote else MEASURED_BYTES
    found = {role: table.measure(most) for role, table in source.tables.items()}
    for role, measured in found.items():
        if not measured.rows:
            raise BadData(f"{source.tables[role].name} has columns and no rows.")
    return found


def check_data(
    inspector: Inspector,
    params: Any,
    source: DataSource,
    measured: dict[str, Measured],
    model: BaseModel | None,
) -> tuple[DataReport | None, Findings]:
    """Return what the task makes of the examples, and what there is to say about them.

    Without a model only what is wrong with the data itself is said.
    """
    findings = Findings()
    facts = model.facts if model else ModelFacts(params.model, 0)
    tokenizer = str(model.tokenizer) if model and model.tokenizer else None
    look = partial(inspector.inspect, params, _splits(source, measured), facts, tokenizer)
    report: DataReport | None = findings.attempt("data", look)
    if report is None:
        return None, findings
    findings.add(f for f in report.findings if model or f.level == "error")
    if model:
        _say_where(source, measured, findings)
    return replace(report, findings=()), findings


def _splits(source: DataSource, measured: dict[str, Measured]) -> dict[str, Split]:
    return {
        role: Split(
            source=table.name,
            columns=table.columns(),
            rows=table.rows(_shown(table)),
            total=measured[role].rows,
            classes=table.classes(),
        )
        for role, table in source.tables.items()
    }


def _shown(table: Table) -> int:
    return SHOWN_IMAGE_BYTES if has_images(table.settled(table.schema)) else SHOWN_BYTES


def _say_where(source: DataSource, measured: dict[str, Measured], findings: Findings) -> None:
    said = list(source.notes)
    if source.remote is not None and source.remote.repo_id:
        said.append(f"used where it is, at {str(source.remote.revision)[:7]}; nothing is copied")
    if source.stored_bytes > SHOWN_BYTES:
        said.append("large: the first rows were looked at, totals are estimates")
    if said:
        findings.add([Finding("ok", "data", f"{source.name}: {' · '.join(said)}")])
    if source.left_out:
        findings.warn("data", f"{source.name}: left out are {source.left_out}", PACK_ANEW)
    other = [split for split in source.unused if split in {"valid", "validation"}]
    if other:
        findings.warn(
            "data", f"the split {other[0]!r} is there and not used", f"--valid-split {other[0]}"
        )

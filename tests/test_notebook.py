"""The notebook of the examples, run from top to bottom by a kernel, on a local Hub."""

from __future__ import annotations

import re
from ast import literal_eval
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from standins.localhub import HubServer
from tiny_llm import write_model

import hubtrain
from orchestrator.jobs.client import Client

NOTEBOOK = Path(__file__).parent.parent / "examples" / "hubtrain.ipynb"
MODEL = "HuggingFaceTB/SmolLM2-135M-Instruct"
"""What the sample trains: the local Hub has a tiny one under that name."""

CHOSEN = {
    "settings": {'BACKEND = "local"': 'BACKEND = "spaces-cpu"', "EPOCHS = 20": "EPOCHS = 100_000"},
    "resume": {"(job.id)": "(job.id, max_steps=job.checkpoint + 20)"},
}
"""What is changed in which cell: a machine is rented, and the training does not end by itself
before it is stopped on its way, however fast it is."""


def committed() -> Any:
    return nbformat.read(NOTEBOOK, as_version=4)


def test_what_is_committed_has_no_outputs() -> None:
    book = committed()
    nbformat.validate(book)
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    assert [cell.outputs for cell in code] == [[]] * len(code)
    assert {cell.execution_count for cell in code} == {None}


@dataclass(frozen=True)
class Ran:
    """The notebook after its cells have run, and what they left."""

    book: Any
    jobs: list[hubtrain.Job]
    """Newest first."""

    secrets: tuple[str, ...]

    def put_out(self, name: str, kind: str) -> str:
        """Return what a cell has put out of a kind: `text/html`, or what it has printed."""
        cell = next(cell for cell in self.book.cells if cell.id == name)
        found = (out.text if "text" in out else out.data.get(kind, "") for out in cell.outputs)
        return "".join(found)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    """Run it, as somebody does who has changed its settings and nothing else."""
    folder = tmp_path_factory.mktemp("notebook")
    (folder / "hub").mkdir()
    (folder / "work").mkdir()
    hub = HubServer(folder / "hub" / "data", ("ann:write",), ("HuggingFaceTB:ann",)).start()
    book = committed()
    for cell in book.cells:
        for said, chosen in CHOSEN.get(cell.id, {}).items():
            assert said in cell.source
            cell.source = cell.source.replace(said, chosen)
    homes = {"HUBTRAIN_HOME": str(folder / "home"), "IPYTHONDIR": str(folder / "ipython")}
    client = NotebookClient(
        book, timeout=280, resources={"metadata": {"path": str(folder / "work")}}
    )
    with pytest.MonkeyPatch.context() as environ:
        environ.setenv("JUPYTER_RUNTIME_DIR", str(folder / "runtime"))
        environ.setenv("HUBTRAIN_HOME", homes["HUBTRAIN_HOME"])
        try:
            api = hub.api()
            api.create_repo(MODEL)
            api.upload_folder(repo_id=MODEL, folder_path=write_model(folder / "tiny"))
            client.execute(env=hub.env(**homes))
            secrets = (*hub.tokens.values(), hub.admin_token)
            yield Ran(book, hubtrain.jobs(refresh=False), secrets)
        finally:
            hub.stop()


@pytest.mark.slow
def test_it_trains_stops_goes_on_and_asks(ran: Ran) -> None:
    resumed, stopped = ran.jobs
    assert (stopped.state, resumed.state) == ("cancelled", "succeeded")
    assert resumed.to_dict()["resumes"] == [stopped.id]
    assert resumed.progress == 1 and resumed.model == "ann/my-llm-sft"
    begun = Client().record(resumed.id).spec.start
    assert begun is not None and begun.step == stopped.checkpoint
    steps = [row["step"] for row in resumed.history if "loss" in row]
    assert steps == sorted(set(steps)), "told as one training"
    told_at_most_every, last = 10, resumed.to_dict()["total_steps"]
    assert steps[0] <= begun.step < last - told_at_most_every < steps[-1] <= last
    assert "price" in ran.put_out("check", "")
    assert isinstance(literal_eval(ran.put_out("ask", "text/plain")), str)
    assert ran.put_out("end", "").startswith("succeeded, $0.00: ann/my-llm-sft")


@pytest.mark.slow
def test_its_cells_have_the_curve_and_the_state(ran: Ran) -> None:
    looking, ended = (ran.put_out(name, "text/html") for name in ("train", "resume"))
    assert "Running" in looking and "Succeeded" in ended and "Cost" in ended
    assert looking.count("<h1>") == ended.count("<h1>") == 1, "drawn over what was drawn before"
    loss = re.search(r'aria-label="Loss">.*?<polyline class="line0" points="([^"]*)"', ended)
    told = [row for row in ran.jobs[0].history if "loss" in row]
    assert loss is not None and len(loss[1].split()) == len(told) > 2


@pytest.mark.slow
def test_no_secret_is_in_it(ran: Ran) -> None:
    whole = nbformat.writes(ran.book)
    assert len(ran.secrets) == 2 and all(ran.secrets)
    assert [secret for secret in ran.secrets if secret in whole] == []

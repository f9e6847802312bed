"""However often a submit is cut short and tried again, one machine is rented; gc finds the rest."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from standins.journal import Chance, PowerCut, Provider, Rental, Shop, Trouble, told

from orchestrator.jobs.gc import sweep
from orchestrator.jobs.submit import Order, Submitted, submit
from worker.contract import DataRef, Finished, Limits, Machine, Started, State
from worker.errors import HubtrainError

PROJECTS = ("apple", "pear")
ACCOUNT = ["ann"]

KINDS = ("dies before", "dies after", "no answer", "answer lost", "refused", "meanwhile")
MOST = 14
"""How many things one command does, about."""

many = st.lists(st.sampled_from(("none",) * 4 + KINDS), max_size=MOST)
single = st.builds(
    lambda calm, kind: ["none"] * calm + [kind], st.integers(0, MOST), st.sampled_from(KINDS)
)
troubles = single | many
"""What goes wrong with the things that one command does, in turn.

Many early troubles keep a command from what it does last: `single` reaches that as well.
"""


def order(project: str) -> Order:
    """Return one of the jobs that are asked for, the same every time."""
    return Order(
        task="llm",
        params={},
        project=project,
        owner="ann",
        model=None,
        data=DataRef(),
        push=None,
        machine=Machine(backend="spaces", flavor="t4-small", usd_per_hour=0.4),
        limits=Limits(max_seconds=3600),
    )


class Submitting(RuleBasedStateMachine):
    """One user, who is not patient, and a provider at the end of a bad line."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.chance = Chance()
        self.far = Provider(self.chance)
        self.shop = Shop(home=self.folder, far=self.far)

    def teardown(self) -> None:
        try:
            self.settle()
        finally:
            shutil.rmtree(self.folder)

    # what people do

    @rule(project=st.sampled_from(PROJECTS), wrong=troubles, other=st.sampled_from(PROJECTS))
    def submits(self, project: str, wrong: list[Trouble], other: str) -> None:
        """Submit, while another terminal submits as well, or cancels."""
        self.chance.meanwhile = lambda: self.attempt(self.submit, other)
        self.attempt(self.submit, project, wrong)

    @rule(project=st.sampled_from(PROJECTS), wrong=troubles)
    def submits_while_it_is_cancelled(self, project: str, wrong: list[Trouble]) -> None:
        self.chance.meanwhile = lambda: self.attempt(self.cancel)
        self.attempt(self.submit, project, wrong)

    @rule(wrong=troubles)
    def cancels(self, wrong: list[Trouble]) -> None:
        self.chance.meanwhile = lambda: self.attempt(self.submit, PROJECTS[0])
        self.attempt(self.cancel, wrong=wrong)

    @rule(wrong=troubles)
    def sweeps(self, wrong: list[Trouble]) -> None:
        self.chance.meanwhile = lambda: self.attempt(self.submit, PROJECTS[0])
        self.attempt(self.sweep, wrong=wrong)

    # what machines do

    @precondition(lambda self: self.far.rented)
    @rule(stops=st.booleans(), place=st.integers(0, 9))
    def a_worker_is_done(self, stops: bool, place: int) -> None:
        """Its machine stops with it, or costs on."""
        boxes = list(self.far.rented.values())
        box = boxes[place % len(boxes)]
        if not box.lines:
            told(box, Started(job_id="x"), self.shop.clock)
        told(box, Finished(), self.shop.clock)
        if stops:
            box.rented, box.stopped = False, True

    # what always holds

    @invariant()
    def one_machine_at_most(self) -> None:
        """Rents for each job that is asked for and not over."""
        self.chance.troubles = []
        for project in PROJECTS:
            working = [
                job
                for job, box in self.far.rented.items()
                if box.spec and box.spec.project == project and not box.lines
                if not self.shop.records.get(job).story.state.final
            ]
            assert len(working) <= 1, f"{project} is rented {len(working)} machines"

    @invariant()
    def what_failed_to_launch_rents_nothing(self) -> None:
        """Or the same command would rent another machine, beside one that nobody counts."""
        self.chance.troubles = []
        for job, box in self.far.rented.items():
            if not box.lines:
                state = self.shop.records.get(job).story.state
                assert state is not State.FAILED, f"{job} is said to have failed, and is rented"

    @invariant()
    def every_machine_is_found(self) -> None:
        """By its record or by its tag, whatever was written down of its launch."""
        self.chance.troubles = []
        found = {one.found.job_id for one in sweep(self.shop, ACCOUNT).leftovers.values()}
        assert found >= self.far.rented.keys()

    def settle(self) -> None:
        """With a good line at last, each job is there once; cancelled and swept, nothing costs."""
        self.chance.troubles = []
        for project in PROJECTS:
            sent = self.submit(project)
            job = sent.record.job_id
            assert self.submit(project).record.job_id == job, "the same job again"
            if not sent.record.story.state.final:
                assert job in self.far.rented or self.far.boxes[job].stopped
        self.cancel()
        self.sweep()
        assert not self.far.rented
        for record in self.shop.records.all():
            assert record.story.state.final, "no job is left open"

    # how it is done

    def attempt(
        self, act: Callable[..., Any], *words: Any, wrong: list[Trouble] | None = None
    ) -> None:
        """Do it with what goes wrong; whoever did it will see what is left."""
        if wrong is not None:
            self.chance.troubles = list(wrong)
        with suppress(PowerCut, HubtrainError):
            act(*words)

    def submit(self, project: str, wrong: list[Trouble] | None = None) -> Submitted:
        backend = Rental(self.far, self.shop.clock)
        if wrong is not None:
            self.chance.troubles = list(wrong)
        return submit(order(project), backend, {}, records=self.shop.records, clock=self.shop.clock)

    def cancel(self) -> None:
        for record in self.shop.records.all():
            if record.story.state is not State.SUCCEEDED:
                self.shop.watch(record).cancel()

    def sweep(self) -> None:
        for one in sweep(self.shop, ACCOUNT).leftovers.values():
            if one.garbage:
                one.stop()


Submitting.TestCase.settings = settings(
    max_examples=40, stateful_step_count=12, deadline=None, derandomize=True, database=None
)
TestSubmitting = Submitting.TestCase

"""A job's state and cost are the same in whatever order, and however often, its events come."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from pytest import approx  # noqa: PT013

from worker.contract import (
    REPLACED,
    CancelAsked,
    Checkpoint,
    Created,
    EndReason,
    Event,
    Failed,
    Finished,
    Launched,
    Metric,
    Observed,
    Phase,
    Progress,
    Started,
    State,
    Stopped,
    fold,
)

START = datetime(2026, 1, 2, 12, tzinfo=UTC)
PRICE = 3.6

observed: st.SearchStrategy[Event] = st.sampled_from(
    [
        Observed(stage="RUNNING", alive=True, costing=True),
        Observed(stage="PAUSED", alive=False, costing=False),
        Observed(stage="BUILDING", alive=True, costing=False),
    ]
)
of_laptop: st.SearchStrategy[Event] = st.one_of(
    observed,
    observed,
    st.just(CancelAsked()),
    st.just(Failed(reason=EndReason.BUILD_ERROR, message="the build failed")),
    st.just(Stopped(reason=EndReason.USER)),
)
of_worker: st.SearchStrategy[Event] = st.one_of(
    st.builds(Phase, name=st.sampled_from(["packing", "pushing"])),
    st.builds(Progress, step=st.integers(1, 9), total_steps=st.just(9)),
    st.builds(Metric, step=st.integers(1, 9), values=st.just({"loss": 1.0})),
)
endings: st.SearchStrategy[Event] = st.sampled_from(
    [
        Finished(),
        Failed(reason=EndReason.OOM, message="too large"),
        Stopped(reason=EndReason.PREEMPTED),
    ]
)


@st.composite
def lives(draw: st.DrawFn) -> list[Event]:
    """Return the events of a job in the order in which they happened."""
    told: list[Event] = [Started(job_id="k4x7qp"), *draw(st.lists(of_worker, max_size=6))]
    told += draw(st.lists(endings, max_size=2))
    handle = "spaces://ann/p-k4x7qp"
    seen: list[Event] = [Created(job_id="k4x7qp"), Launched(handle=handle)]
    seen += draw(st.lists(of_laptop, max_size=8))
    turns = draw(st.permutations(["worker"] * len(told) + ["laptop"] * len(seen)))
    left = {"worker": iter(told), "laptop": iter(seen)}
    numbers = {"worker": 0, "laptop": 0}
    life, seconds = [], 0
    for source in turns:
        numbers[source] += 1
        seconds += draw(st.integers(0, 600))
        at = START + timedelta(seconds=seconds)
        where = {"source": source, "seq": numbers[source], "at": at}
        life.append(next(left[source]).model_copy(update=where))
    return life


@settings(deadline=None)
@given(life=lives(), data=st.data())
def test_events_in_any_order_and_twice_are_a_story(life: list[Event], data: st.DataObject) -> None:
    again = data.draw(st.lists(st.sampled_from(life), max_size=6))
    mixed = data.draw(st.permutations([*life, *again]))
    assert fold(mixed) == fold(life)


@settings(deadline=None)
@given(life=lives(), later=st.floats(0, 1e5))
def test_the_cost_of_a_job_never_falls(life: list[Event], later: float) -> None:
    """Nor is it ever less than it was when the job last gave a sign of life."""
    spent = 0.0
    for known, event in enumerate(life, 1):
        story, now = fold(life[:known]), event.at
        assert story.cost(PRICE, now + timedelta(seconds=later)) >= story.cost(PRICE, now)
        assert story.cost(PRICE, now) >= spent - 1e-9
        if event.source == "worker" or (isinstance(event, Observed) and event.alive):
            spent = story.cost(PRICE, now)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_a_machine_that_costs_on_after_its_job_is_counted_until_it_has_stopped() -> None:
    life: list[Event] = [Started(job_id="a", at=at(0), seq=1), Finished(at=at(60), seq=2)]
    on = Observed(stage="RUNNING", alive=True, costing=True, at=at(300), source="laptop", seq=1)
    off = Observed(stage="PAUSED", alive=False, costing=False, at=at(400), source="laptop", seq=2)
    assert fold([*life, off]).cost(PRICE, at(900)) == approx(0.06)
    assert fold([*life, on]).cost(PRICE, at(900)) == approx(0.9)
    assert fold([*life, on, off]).cost(PRICE, at(900)) == approx(0.4)


def test_a_machine_that_was_taken_away_and_does_not_come_again_is_lost_as_that() -> None:
    taken: list[Event] = [Started(job_id="a", at=START), Phase(name=REPLACED, at=START)]
    gone = Observed(stage="RUNTIME_ERROR", alive=False, costing=False, at=START, source="laptop")
    lost = fold([*taken, gone])
    assert (lost.state, lost.reason) == (State.LOST, EndReason.PREEMPTED)
    back = fold([*taken, Started(job_id="a", at=START)])
    assert (back.state, back.phase) == (State.RUNNING, "")


def test_a_checkpoint_that_was_sent_may_be_behind_the_one_on_disk() -> None:
    sent = Checkpoint(step=20, where=f"ann/bot@{'c' * 40}")
    story = fold([Checkpoint(step=30, where="/work/checkpoint-30"), sent])
    kept = [story.checkpoint_kept(keeps_disk=keeps) for keeps in (True, False)]
    assert [one.step for one in kept if one] == [30, 20]

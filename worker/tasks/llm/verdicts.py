"""Answers of which each is said to be good or bad by itself: prompt, completion, label.

Reads them as `rows` does, and the label beside them. Light: no torch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace

from worker.errors import BadData
from worker.rendered import Rendered
from worker.splits import Row
from worker.task import Finding
from worker.tasks.llm import cells, rows
from worker.tasks.llm.data import Examples
from worker.tasks.llm.params import LlmParams
from worker.tasks.llm.rows import Chat, Layout, Said, no_column
from worker.tasks.llm.showing import place

GOOD = frozenset({"true", "1", "1.0", "yes", "good"})
BAD = frozenset({"false", "0", "0.0", "no", "bad"})
"""How cells say whether an answer is good, in small letters."""

UNEVEN = 4.0
"""How many times as many good answers as bad ones, or the other way round, are worth a word."""


@dataclass(frozen=True, slots=True)
class VerdictLayout(Layout):
    """Where prompts, answers and verdicts on them are."""

    label: str = "label"
    verdicts: dict[int, bool] = field(default_factory=dict)
    """Whether the answer is a good one, by the number of each row that was read."""

    @property
    def what(self) -> str:
        """What its rows are called, in the plural."""
        return "answers with a label each"

    def read(self, row: Row, line: int) -> Said | None:
        """Return prompt and answer. Raises `BadData`, for a label that says nothing too."""
        said = Layout.read(self, row, line)
        if said is None:
            return None
        self.verdicts[line] = self.verdict(row, line)
        return self._last_turn(said, line) if self.kind == "messages" else said

    def verdict(self, row: Row, line: int) -> bool:
        """Return whether the answer of a row is a good one. Raises `BadData`."""
        cell = row.get(self.label)
        told = str(cell).strip().lower()
        if told in GOOD | BAD:
            return told in GOOD
        shown = "empty" if cells.is_empty(cell) else repr(cell)
        raise BadData(
            f'"{self.label}" in line {line} of {self.source} is {shown}, '
            "where true or false is expected."
        )

    def _last_turn(self, said: Said, line: int) -> Chat:
        """Return a conversation of which the last turn is the answer that is judged."""
        assert isinstance(said, Chat)
        if said.messages[-1]["role"] != "assistant":
            raise BadData(
                f"The conversation in line {line} of {self.source} does not end with an answer of "
                "the assistant."
            )
        return replace(said, given=len(said.messages) - 1)


def layout_of(
    columns: Sequence[str], first: Row, params: LlmParams, label: str, source: str
) -> VerdictLayout:
    """Return where the answers and the labels are. Raises `BadData` with the columns there are."""
    rows.refuse_pairs(label, columns, source)
    found = rows.layout_of(columns, first, params, source)
    if found.kind == "text":
        raise BadData(
            f"{source} has texts, and answers to prompts are needed; it has: {', '.join(columns)}.",
            fix="--prompt-text-column and --completion-column",
        )
    if label not in columns:
        raise no_column(label, "--label-column", columns, first, source, taken=found.columns)
    same = {one.name: getattr(found, one.name) for one in fields(found)}
    return VerdictLayout(**same, label=label)


def noted(example: Rendered | None, examples: Examples) -> Rendered | None:
    """Return an example, one of `examples`, with what becomes of its answer."""
    good = {place(line, examples.layout.source): told for line, told in told_of(examples)}
    if example is None or example.where not in good:
        return example
    says = "good answer, made likelier" if good[example.where] else "bad answer, made unlikelier"
    return replace(example, note=" · ".join(filter(None, (example.note, says))))


def told_of(examples: Examples) -> Iterator[tuple[int, bool]]:
    """Yield the number of each row that is used, and whether its answer is a good one."""
    assert isinstance(examples.layout, VerdictLayout)
    yield from ((line, examples.layout.verdicts[line]) for line in examples.lines)


def balance(examples: Examples) -> Iterator[Finding]:
    """Say how many answers are good and how many bad, and what to type where they are uneven."""
    counted = Counter(good for _, good in told_of(examples))
    good, bad = counted[True], counted[False]
    text = f"{good:,} good answers, {bad:,} bad ones"
    if not good or not bad:
        yield Finding("warn", "data", f"{text}: what only one kind teaches is mostly to say less")
    elif max(good, bad) > UNEVEN * min(good, bad):
        kind, times = ("un", good / bad) if good > bad else ("", bad / good)
        yield Finding("warn", "data", text, fix=f"--kto-{kind}desirable-weight {times:.3g}")
    else:
        yield Finding("ok", "data", text)

"""A way to train a language model: all that the rest of hubtrain knows of it, in one typed class.

To add one, write `worker/tasks/llm/trainers/<name>.py` with a subclass of `Trainer` and
`TRAINER = Yours()` at its end. The choices of `--trainer`, its settings in the help and in files,
the check, the plan and the run follow; nothing else lists trainers or asks which one it is.
CONTRIBUTING.md shows a whole one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from worker.params import Params
from worker.splits import Row
from worker.task import DataReport, Footprint, Measure, ModelFacts, Run, Sample, Splits
from worker.tasks.llm.heads import Head
from worker.tasks.llm.heads.causal import CAUSAL
from worker.tasks.llm.params import LlmParams

if TYPE_CHECKING:
    from worker.tasks.llm.tokens import Tokens

S = TypeVar("S", bound=Params)


class Trainer(ABC, Generic[S]):
    """What the rest of hubtrain knows of a way to train a language model.

    All but `train` runs on laptops, without heavy libraries. `trainers/_texts.py` and `_pairs.py`
    have subclasses for trainers on texts, and on pairs of answers.
    """

    name: ClassVar[str]
    """As its file is called."""

    also_called: ClassVar[tuple[str, ...]] = ()
    """Other names a file may give it, behind the task's: `llm-generic`."""

    help: ClassVar[str]
    """What it learns, from what, as the help of `--trainer` says it behind the name."""

    settings: type[S]
    """Its own settings. They become settings of the task, whose names they must not repeat."""

    head: ClassVar[Head] = CAUSAL
    """What the models that it makes put out: the next token."""

    unit: ClassVar[str] = "tokens"
    """What its progress counts, plural."""

    libraries: ClassVar[tuple[str, ...]] = ()
    """Packages of `worker.engine.lean.OPTIONAL` that its training imports: `datasets`."""

    trains_together: ClassVar[bool] = True
    """Whether several processes can train it, one on each GPU."""

    continues: ClassVar[bool] = False
    """Whether what does not fit into a training row goes on in the next; otherwise it is cut."""

    ends_texts: ClassVar[bool] = True
    """Whether the end-of-sequence token follows texts, to be learned; else they end as the
    tokenizer has it."""

    instead: ClassVar[str] = ""
    """What to type where no row has an answer to learn."""

    unused: ClassVar[Mapping[str, str]] = {}
    """Settings of all trainers that do nothing here, each with a sentence that says why."""

    def own(self, params: LlmParams) -> S:
        """Return its own settings among those of the task."""
        return params if isinstance(params, self.settings) else self.settings()

    def only_answers(self, params: LlmParams) -> bool:
        """Whether only answers are learned where the data has prompts or user turns."""
        return False

    def learns(self, params: LlmParams) -> str:
        """Return of what the loss is taken, where not of the tokens of answers or of texts."""
        return ""

    def pieces(self, tokens: Tokens, capacity: int, special: frozenset[int]) -> list[Tokens]:
        """Return what is trained on of an example, each piece at most `capacity` tokens long.

        `special` are the ids of tokens that stand for no text.
        """
        from worker.tasks.llm.tokens import cut

        return cut(tokens, capacity, keep_all=self.continues)

    def layout(self, columns: Sequence[str], first: Row, params: LlmParams, source: str) -> Any:
        """Return the `rows.Layout` that says which columns are read, and how.

        `first` is a row that is not empty. Raises `BadData` with the columns there are.
        """
        from worker.tasks.llm.rows import layout_of

        return layout_of(columns, first, params, source)

    def check_model(self, params: LlmParams, facts: ModelFacts) -> None:
        """Raise `BadConfig` for a model that cannot be trained so: one that `head` does not fit."""
        self.head.check_model(facts)

    def sample(self) -> Sample:
        """Return a tiny job of this trainer: see `Task.sample`. By default of conversations."""
        from worker.tasks.llm.samples import SMALL, chats

        return Sample.of_rows("chats.jsonl", chats(), **SMALL)

    @abstractmethod
    def inspect(
        self, params: LlmParams, splits: Splits, facts: ModelFacts, tokenizer: Any
    ) -> DataReport:
        """Return what training would make of the examples: see `Task.inspect`."""

    def footprint(
        self, params: LlmParams, facts: ModelFacts, data: DataReport, memory: float | None = None
    ) -> Footprint:
        """Return the memory that training takes on one device, which has `memory` bytes."""
        from worker.tasks.llm import cost

        return cost.footprint(params, facts, memory)

    def flops(self, params: LlmParams, facts: ModelFacts, data: DataReport) -> float:
        """Return the floating point operations of the whole training, validation included."""
        from worker.tasks.llm import cost

        return cost.flops(params, facts, data)

    def seconds(self, params: LlmParams, facts: ModelFacts, data: DataReport) -> float:
        """Return what the training takes beside its arithmetic, however fast the machine is."""
        return 0.0

    def files(self, params: LlmParams) -> tuple[str, ...]:
        """Return paths of files of this machine that go along: see `Task.files`."""
        return ()

    def measures(self, params: LlmParams) -> tuple[Measure, ...]:
        """Return the measurements that tell how good a model is, the most telling first."""
        return (Measure("valid_loss"), Measure("valid_perplexity"), Measure("loss"))

    @abstractmethod
    def train(self, params: LlmParams, run: Run) -> None:
        """Train on `run.data`, tell `run.emit` how it goes, leave the model in `run.output`."""

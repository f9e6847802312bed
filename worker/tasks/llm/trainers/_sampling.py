"""What most trainers have in common: samples of what the model says."""

from __future__ import annotations

from typing import Annotated, ClassVar

from annotated_types import Ge, Le

from worker.params import Params


class Sampling(Params):
    """Samples on the card."""

    goes_on: ClassVar[bool] = True

    samples: Annotated[int, Ge(0), Le(20)] = 3
    """Examples, of the validation split if there is one, that the card shows with what the model
    says to them before and after training: answers, scores or hidden words; 0 for none. They are
    rows of the data: where the model is public and the data is not, none are shown."""

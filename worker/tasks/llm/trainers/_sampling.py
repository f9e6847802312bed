"""What trainers whose models answer have in common: samples of it."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Le

from worker.params import Params


class Sampling(Params):
    """Samples on the card."""

    samples: Annotated[int, Ge(0), Le(20)] = 3
    """Prompts, of the validation split if there is one, whose answers before and after training go
    on the model's card; 0 for none. They are rows of the data: where the model is public and the
    data is not, none are shown."""

"""One example of the data on a terminal: as the model gets it, what is learned of it marked.

The marks are brackets, which a pipe and a terminal without colours show as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rich.console import Console
from rich.text import Text

from worker.rendered import Part, Rendered

OPENS, CLOSES = "⟦", "⟧"
"""Around what is learned. Data that holds them is not misread: learned text is green as well."""

_BEFORE, _NOTE = "     │ ", "     └ "
_LEARNED, _GIVEN, _SPECIAL = "green", "default", "dim"


def lines(
    example: Rendered, console: Console, room: int, clean: Callable[[str], str]
) -> Iterator[Text]:
    """Yield the lines that show an example, at most `room` columns wide.

    `clean` returns text without secrets, and without anything that would act on a terminal.
    """
    told = f"  {clean(example.where)}, as the model gets it; in {OPENS}brackets{CLOSES}"
    yield Text(f"{told} what is learned:")
    text = Text()
    before = False
    for part in example.parts:
        text.append(CLOSES if before and not part.learned else "", _LEARNED)
        text.append(OPENS if part.learned and not before else "", _LEARNED)
        text.append(clean(part.text), _style(part))
        before = part.learned
    text.append(CLOSES if before else "", _LEARNED)
    text.rstrip()
    for before_it, said in ((_BEFORE, text), (_NOTE, Text(clean(example.note)))):
        if said:
            for line in said.wrap(console, room - len(_BEFORE), overflow="fold", tab_size=4):
                line.rstrip()
                yield Text.assemble((before_it, "dim"), line)


def _style(part: Part) -> str:
    kind = _LEARNED if part.learned else _GIVEN
    return f"{_SPECIAL} {kind}" if part.special else kind

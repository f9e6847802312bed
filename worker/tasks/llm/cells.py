"""What one cell of a table says: text, messages, tools; also as JSON, as Python prints a list, and
as ShareGPT has it.

What it refuses is refused in the user's words, with the line. It knows no columns.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from math import isnan
from typing import Any

from worker.errors import BadData
from worker.families.sandbox import Message
from worker.literal import literal
from worker.numerals import spelled
from worker.shorten import some

_CALL = "function_call"
_HALF = re.compile(r"\\u[dD][89a-fA-F]")
"""How JSON and Python write half of a character."""

_SHAREGPT_ROLES = {
    "human": "user",
    **dict.fromkeys(("gpt", "chatgpt", "bot", "ai", "model", _CALL), "assistant"),
    **dict.fromkeys(("observation", "function_response", "tool_response"), "tool"),
}
"""Who speaks in ShareGPT's conversations, and what chat templates call them."""

_MEDIA = ("image", "audio", "video")

_USUAL_ROLES = frozenset({"system", "user", "assistant", "tool"})


def decoded(cell: Any) -> Any:
    """Return what a cell says: a text, or messages, also as JSON or as Python prints them.

    A number is the text that stands there.
    """
    if not isinstance(cell, str) or not cell.lstrip().startswith("[{"):
        return spelled(cell)
    found = _parsed(cell)
    if not isinstance(found, list) or not all(_role_of(message) for message in found):
        return cell
    return found


def _parsed(cell: str) -> Any:
    """Return the value that JSON or Python spells so; none of what is neither."""
    try:
        found = literal(cell)
    except ValueError:
        return None
    return _whole(found) if _HALF.search(cell) else found


def _whole(value: Any) -> Any:
    """Return a value with U+FFFD for halves of characters, which no tokenizer takes."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, Mapping):
        return {_whole(key): _whole(one) for key, one in value.items()}
    return [_whole(one) for one in value] if isinstance(value, list | tuple) else value


def is_empty(cell: Any) -> bool:
    """Whether a cell says nothing, as tables have it too."""
    if cell is None or (isinstance(cell, float) and isnan(cell)):  # how tables say: nothing here
        return True
    return not cell.strip() if isinstance(cell, str) else not cell and cell != 0


def string(cell: Any, column: str, where: str) -> str:
    """Return a cell as text. Raises `BadData`."""
    if isinstance(said := spelled(cell), str):
        return said
    raise BadData(f'"{column}" in {where} is {_shown(cell)}, where text is expected.')


def messages(cell: Any, column: str, where: str) -> tuple[Message, ...]:
    """Return the messages in a cell. Raises `BadData`."""
    if not isinstance(cell, list | tuple):
        raise BadData(
            f'"{column}" in {where} is {_shown(cell)}, where a list of messages is expected.'
        )
    filled = _filled_by_a_table(cell)
    return tuple(_message(message, filled, f'"{column}" in {where}') for message in cell)


def tools_in(cell: Any, where: str) -> tuple[Mapping[str, Any], ...]:
    """Return the tools in a cell, which may be JSON. Raises `BadData` if it is something else."""
    if is_empty(cell):
        return ()
    found = _parsed(cell) if isinstance(cell, str) else cell
    if not isinstance(found, list) or not all(isinstance(tool, Mapping) for tool in found):
        raise BadData(f'"tools" in {where} is {_shown(cell)}, where a list of tools is expected.')
    return tuple(_filled(tool) for tool in found)


def _filled(value: Any) -> Any:
    """Return a value without the empty keys a table gives it because other rows fill them."""
    if isinstance(value, Mapping):
        return {key: _filled(one) for key, one in value.items() if one is not None}
    return [_filled(one) for one in value] if isinstance(value, list | tuple) else value


def _filled_by_a_table(messages: Sequence[Any]) -> bool:
    """Whether all have the same keys, as in a table, where what a row lacks is none.

    Written by hand, the arguments of a call may be none, and other messages have no calls.
    """
    return len({frozenset(one) for one in messages if isinstance(one, Mapping)}) == 1


def _message(message: Any, filled: bool, where: str) -> Message:
    role = _role_of(message)
    if not role:
        raise BadData(
            f"A message of {where} {_lacks_role(message)}; "
            'each needs "role" and "content" (or "from" and "value").'
        )
    content = message.get("content", message.get("value"))
    _refuse_media(content, where)
    cells = {k: v for k, v in message.items() if k not in {"from", "value"} and v is not None}
    if message.get("from") == _CALL and (calls := _calls(content)):
        content, cells = "", {**cells, "tool_calls": calls}
    said = {**cells, "content": "" if content is None else content}
    return {**(_filled(said) if filled else said), "role": role}


def _calls(value: Any) -> list[dict[str, Any]]:
    """Return the calls of functions that ShareGPT has as JSON; none of what is no call."""
    found = _parsed(value) if isinstance(value, str) else value
    calls = found if isinstance(found, list) else [found]
    if not all(isinstance(call, Mapping) and call.get("name") for call in calls):
        return []
    return [{"type": "function", "function": {"arguments": {}, **call}} for call in calls]


def _role_of(message: Any) -> str:
    if not isinstance(message, Mapping):
        return ""
    role = str(message.get("role") or message.get("from") or "")
    small = role.lower()
    if "from" in message:
        small = _SHAREGPT_ROLES.get(small, small)
    return small if small in _USUAL_ROLES else role


def _lacks_role(message: Any) -> str:
    """Return what a message without a role is, in words that are the same for many rows."""
    if not isinstance(message, Mapping):
        return "is no object"
    named = [str(key) for key, value in message.items() if value is not None]
    return f"has no role, only {some(named)}" if named else "has no role"


def _refuse_media(content: Any, where: str) -> None:
    """Raise `BadData` where a message has parts, as APIs take them, that are no text."""
    parts = content if isinstance(content, list | tuple) else ()
    kinds = [str(part.get("type") or "") for part in parts if isinstance(part, Mapping)]
    media = next((kind for kind in kinds if any(one in kind for one in _MEDIA)), None)
    if media:
        raise BadData(
            f"A message of {where} has a part of type {media}, where text is expected.",
            fix="Take those parts out; `hubtrain vlm` trains on images, hubtrain llm on text.",
        )


def _shown(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:57] + "…"  # noqa: PLR2004

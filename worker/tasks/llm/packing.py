"""Which examples share a training row. Standard library only; preflight counts steps with it."""

from __future__ import annotations

from collections.abc import Sequence


def best_fit(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """Return rows of example numbers, each row at most `capacity` tokens, few rows in all.

    Best fit, longest first: every example goes whole into the row it leaves the least room in.
    Lengths must be 1 to `capacity`. Takes O(n) steps on integers of `capacity` bits.
    """
    rows: list[list[int]] = []
    with_room: list[list[int]] = [[] for _ in range(capacity + 1)]
    rooms = 0  # bit n is set while some row has room for exactly n more tokens
    for example in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        length = lengths[example]
        fitting = rooms >> length
        if fitting:
            room = length + (fitting & -fitting).bit_length() - 1
            row = with_room[room].pop()
            rows[row].append(example)
            if not with_room[room]:
                rooms ^= 1 << room
        else:
            room, row = capacity, len(rows)
            rows.append([example])
        with_room[room - length].append(row)
        rooms |= 1 << (room - length)
    return rows


def training_rows(lengths: Sequence[int], capacity: int, packing: bool) -> list[list[int]]:
    """Return the examples of each training row: packed, or every one alone."""
    return best_fit(lengths, capacity) if packing else [[i] for i in range(len(lengths))]

"""What the Hub says of a repo: its files and how large they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from huggingface_hub.hf_api import DatasetInfo, ModelInfo


def sizes_of(info: ModelInfo | DatasetInfo) -> dict[str, int]:
    """Return the bytes of a repo's files, by their paths.

    Raises `TypeError` where the answer is no repo's, so it is called where answers are `explained`.
    """
    if not (isinstance(info.id, str) and isinstance(info.sha, str)):
        raise TypeError("a repo without name and commit")
    return {str(file.rfilename): int(file.size or 0) for file in info.siblings or []}

"""Folders of images as tables: an `image` column, and what folders or a list say of each image.

A folder or zip has one folder per class, or a list: metadata.csv, metadata.jsonl, or any CSV or
JSONL with a column of paths. Both may lie below folders for splits, train and valid. Which files
are examples the task says (`Task.media`); how they are decoded it alone knows.
"""

from orchestrator.data.sources.media.find import find_in_files, find_listed
from orchestrator.data.sources.media.scope import is_media

__all__ = ["find_in_files", "find_listed", "is_media"]

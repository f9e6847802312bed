"""The user's data, packed into deterministic shards and sent to the Hub once."""

from orchestrator.data.package.extra_files import files_along
from orchestrator.data.package.shards import (
    Package,
    in_place,
    local_ref,
    package,
    packed_before,
    planned_folder,
)
from orchestrator.data.package.upload import content_of, planned_ref, repo_of, upload

__all__ = [
    "Package",
    "content_of",
    "files_along",
    "in_place",
    "local_ref",
    "package",
    "packed_before",
    "planned_folder",
    "planned_ref",
    "repo_of",
    "upload",
]

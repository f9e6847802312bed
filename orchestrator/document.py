"""What a document of JSON is declared as: its keys, their types, and what they mean.

Each document that a program may read, of whatever surface, is a class of these, or a dataclass
that is a part of one. Its JSON schema and its page of the docs come from there.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, create_model
from pydantic.json_schema import GenerateJsonSchema


class Document(BaseModel):
    """Base of all documents. Keys that a newer hubtrain adds are no error to an older one."""

    model_config = ConfigDict(
        extra="ignore",
        frozen=True,
        use_attribute_docstrings=True,
        populate_by_name=True,
        ser_json_inf_nan="null",
        defer_build=True,
    )


class _WithoutTitles(GenerateJsonSchema):
    """A schema that does not say every name twice: assistants pay for each word."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def schema_of(kind: Any) -> dict[str, Any]:
    """Return the JSON schema of what is read or written as `kind`: a class, or several."""
    held = create_model("Held", __base__=Document, it=(kind, ...))
    schema = held.model_json_schema(
        by_alias=True, mode="serialization", schema_generator=_WithoutTitles
    )
    found: dict[str, Any]
    found, parts = schema["properties"]["it"], schema.get("$defs", {})
    if "$ref" in found:
        found = parts.pop(found["$ref"].rpartition("/")[2])
    return found | ({"$defs": parts} if parts else {})

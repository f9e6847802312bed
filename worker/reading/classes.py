"""The names of classes that data declare: what the numbers in a column of labels stand for.

Hugging Face's libraries write them into the schema of Parquet files, as JSON, and into the card
of a dataset, as YAML. A nested column is called by its path: `objects.category`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

Classes = dict[str, tuple[str, ...]]

FEATURES = b"huggingface"
"""Key of the features in a schema's metadata."""

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
"""How an image is stored in a cell."""


def of_schema(schema: pa.Schema) -> Classes:
    """Return the class names that a schema's metadata declares for its columns."""
    told = (schema.metadata or {}).get(FEATURES)
    try:
        features = json.loads(told)["info"]["features"] if told else {}
        found = dict(_in_json(features, ""))
    except (ValueError, KeyError, TypeError, AttributeError):  # someone else's file: no names
        return {}
    return {path: names for path, names in found.items() if path.split(".")[0] in schema.names}


def of_card(declared: Any, config: str | None) -> Classes:
    """Return the class names that `dataset_info` of a dataset's card declares for `config`."""
    infos = declared if isinstance(declared, list) else [declared]
    named = [i for i in infos if isinstance(i, Mapping) and i.get("features")]
    chosen = [i for i in named if i.get("config_name", "default") == (config or "default")]
    try:
        return {k: v for info in (chosen or named)[:1] for k, v in _in_yaml(info["features"], "")}
    except (KeyError, TypeError, AttributeError):
        return {}


def has_images(schema: pa.Schema) -> bool:
    """Whether a column holds images."""
    return any(field.type == IMAGE for field in schema)


def with_features(schema: pa.Schema, features: Mapping[str, Any]) -> pa.Schema:
    """Return the schema with `features`, as the library datasets has them, in its metadata.

    Columns that are not among them keep what the schema said of them.
    """
    told = (schema.metadata or {}).get(FEATURES)
    known = json.loads(told)["info"]["features"] if told else {}
    kept = {name: feature for name, feature in known.items() if name in schema.names}
    written = json.dumps({"info": {"features": {**kept, **features}}}, sort_keys=True)
    return schema.with_metadata({FEATURES: written.encode()})


def _in_json(feature: Any, path: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Walk a feature as `Features.to_dict` writes it: a dict without `_type` is a struct."""
    if isinstance(feature, list):
        yield from _in_json(feature[0], path)
    elif feature.get("_type") == "ClassLabel":
        yield path, tuple(map(str, feature["names"]))
    elif isinstance(feature.get("_type"), str):
        if "feature" in feature:
            yield from _in_json(feature["feature"], path)
    else:
        for name, field in feature.items():
            yield from _in_json(field, _below(path, name))


def _in_yaml(feature: Any, path: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Walk features as a card has them: lists of fields with names, and kinds by their names."""
    if isinstance(feature, list):
        for field in feature:
            yield from _in_yaml(field, _below(path, field["name"]))
    elif isinstance(feature, Mapping):
        if label := feature.get("class_label"):
            names = label["names"]
            yield path, tuple(map(str, names.values() if isinstance(names, Mapping) else names))
        for kind in ("dtype", "struct", "list", "large_list", "sequence"):
            yield from _in_yaml(feature.get(kind), path)


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name

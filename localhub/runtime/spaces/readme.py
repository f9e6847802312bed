"""What a Space's README.md says about it: the YAML block at its top."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from localhub.errors import first_wrong

SDKS = ("docker", "gradio", "static", "streamlit")
DEFAULT_PORT = 7860
HALF_AN_HOUR = 1800.0
SECONDS = {"s": 1, "m": 60, "h": 3600}

_BLOCK = re.compile(r"\A---\s*\n(.*?)\n?^---\s*$", re.S | re.M)


class ConfigError(ValueError):
    """The front matter is missing or wrong; the message is what the Space shows."""


def _seconds(value: Any) -> Any:
    """Read `30m`, `1h`, `90s` or a number of seconds."""
    if isinstance(value, str) and value[-1:] in SECONDS:
        try:
            return float(value[:-1]) * SECONDS[value[-1]]
        except ValueError:
            return value
    return value


class FrontMatter(BaseModel):
    """The keys that decide how a Space runs; all others are for people and search."""

    model_config = ConfigDict(extra="ignore")

    sdk: Literal["docker", "gradio", "static", "streamlit"]
    title: str = ""
    app_port: Annotated[int, Field(ge=1, le=65535)] = DEFAULT_PORT
    app_file: str | None = None
    startup_duration_timeout: Annotated[float, Field(gt=0), BeforeValidator(_seconds)] = (
        HALF_AN_HOUR
    )
    """Seconds within which the app has to answer."""

    hf_oauth: bool = False
    hf_oauth_scopes: tuple[str, ...] = ()
    hf_oauth_expiration_minutes: Annotated[int, Field(gt=0, le=43200)] = 480
    suggested_hardware: str | None = None
    tags: tuple[str, ...] | None = None


def read(text: str) -> FrontMatter:
    """Return what the README's front matter says, or raise `ConfigError` with the reason."""
    block = _BLOCK.search(text.removeprefix("\ufeff"))
    if block is None:
        raise ConfigError("Missing configuration in README")
    try:
        values = yaml.safe_load(block.group(1))
    except yaml.YAMLError as error:
        raise ConfigError(f"Invalid YAML in README.md: {error}") from error
    if not isinstance(values, dict) or "sdk" not in values:
        raise ConfigError("Missing configuration in README: no sdk")
    try:
        return FrontMatter.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"Invalid configuration in README: {first_wrong(error)}") from error

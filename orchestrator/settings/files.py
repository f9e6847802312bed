"""A file of settings, whichever kind it is: YAML, or variables line by line."""

from __future__ import annotations

from orchestrator.settings import configfile, envfile
from orchestrator.settings.configfile import ConfigFile
from orchestrator.settings.fetch import content_of, is_address, name_of


def read(where: str) -> ConfigFile:
    """Return the file at a path, or at an address of the web. Raises `BadConfig`."""
    content, web = content_of(where), is_address(where)
    if envfile.is_one(content):
        return envfile.parsed(content, name_of(where), from_web=web)
    return configfile.parsed(content, where, from_web=web)

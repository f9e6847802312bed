"""What is sent to the machine as a secret: the Hub token, a tracker's key, values of `--env`.

Handed to `launch` and to nothing else. A key comes from the environment, or from where its own
`login` leaves it; only what the settings of a job need is taken.
"""

from __future__ import annotations

import netrc
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from worker import secret_variables
from worker.common import WANDB_MODE
from worker.errors import BadConfig
from worker.params import settings_of
from worker.redact import Redactor

WANDB_KEY, WANDB_HOST = "WANDB_API_KEY", "WANDB_BASE_URL"
WANDB_ABOUT = ("WANDB_PROJECT", "WANDB_ENTITY")
SECRETS = (WANDB_KEY,)
"""Variables beside the Hub token that are no settings and go to nobody but the job's machine."""

READ_TOKEN = "HUBTRAIN_READ_TOKEN"
"""Variable with a token that the machine of a deployment reads a model with."""

TRACKIO_ABOUT = ("TRACKIO_SPACE_ID", "TRACKIO_PROJECT")
"""What tells a tracker where a run belongs; no secrets, and wanted where a key is."""

WANDB_CLOUD = "https://api.wandb.ai"
"""Where wandb reports to unless `WANDB_BASE_URL` says otherwise."""


def secrets_of(
    params: Any,
    token: str | None,
    given: Mapping[str, str],
    environ: Mapping[str, str] = os.environ,
) -> dict[str, str]:
    """Return what a job with these settings needs and this machine has, by environment name.

    `given` are the values of settings that hold names alone (`Settings.apart`). Raises `BadConfig`
    where a value is neither given nor here.
    """
    found = {"HF_TOKEN": token} if token else {}
    if carried := _carried(params, given, environ):
        found[secret_variables.VARIABLE] = secret_variables.packed(carried)
    for name in getattr(params, "secrets", ()):
        value = environ.get(name, "").strip()
        if name == WANDB_KEY:
            found |= _wandb(value, environ)
        elif value:
            found[name] = value
    if getattr(params, "log", None) == "trackio":
        found |= {name: environ[name] for name in TRACKIO_ABOUT if environ.get(name)}
    return found


def _carried(params: Any, given: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that go to the job's own program. Raises `BadConfig`."""
    named = [s for s in settings_of(type(params)) if s.secret_pairs]
    names = [(setting, name) for setting in named for name in getattr(params, setting.name)]
    here = {name: given.get(name, environ.get(name)) for _, name in names}
    for setting, name in names:
        if here[name] is None:
            flag = setting.flags[0]
            raise BadConfig(
                f"{flag} {name}: there is no variable {name} here.",
                fix=f"export {name}=… first, or {flag} {name}=VALUE",
            )
    return {name: value for name, value in here.items() if value is not None}


def refuse_written_down(
    settings: Mapping[str, Any],
    secrets: Mapping[str, str],
    spelled: Callable[[str], str],
    environ: Mapping[str, str] = os.environ,
) -> None:
    """Raise `BadConfig` if a setting is, or holds, a secret, wherever it was said.

    `settings` are those that are written into the job, and with it into its record, its plan and
    its repos. `spelled` returns how one was said.
    """
    hide = Redactor({**_kept_apart(environ), **secrets})
    held = [name for name, value in settings.items() if hide(str(value)) != str(value)]
    if held:
        verb = "holds" if len(held) == 1 else "hold"
        raise BadConfig(
            f"{', '.join(map(spelled, held))} {verb} a secret, and settings are written down in"
            " records and repos.",
            fix="Leave it out; the Hub token is sent as a secret by itself.",
        )


def _kept_apart(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the secrets of an environment that this program knows and no job may be made of."""
    names = ("HF_TOKEN", READ_TOKEN, *SECRETS)
    return {name: environ[name] for name in names if name in environ}


def _wandb(key: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Return wandb's key, the server it is for where that is not wandb's own, and where its runs
    belong. Offline, no key is needed.
    """
    host = environ.get(WANDB_HOST, "").strip()
    key = key or _logged_in(host or WANDB_CLOUD, environ)
    about = {name: environ.get(name, "").strip() for name in WANDB_ABOUT}
    offline = environ.get(WANDB_MODE, "").strip().lower() == "offline"
    if offline:
        about[WANDB_MODE] = "offline"
    found = {WANDB_KEY: key, WANDB_HOST: host, **about}
    return {name: value for name, value in found.items() if value} if key or offline else {}


def _logged_in(url: str, environ: Mapping[str, str]) -> str:
    """Return the key that `wandb login` wrote down for a server; empty if it did not."""
    with suppress(OSError, netrc.NetrcParseError):
        entry = netrc.netrc(environ.get("NETRC")).authenticators(urlsplit(url).hostname or "")
        return entry[2] or "" if entry else ""
    return ""

"""One small text file of a repo on the Hub, and the commit it was read from."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

from worker.errors import HubError, NotThere
from worker.hubclient import explained, hub

_COMMIT = "x-repo-commit"


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file as it was at one commit."""

    text: str
    commit: str


def fetch(
    repo_id: str, path: str, revision: str, token: str | None, most: int | None = None
) -> HubFile | None:
    """Return a file of a model repo; none if the repo, the revision or the file is not there.

    One request, without a cache on disk. Raises `HubError`, also for a file of more than `most`
    bytes, which is not read to its end; may be repeated.
    """
    from huggingface_hub import get_session, hf_hub_url
    from huggingface_hub.utils._headers import build_hf_headers
    from huggingface_hub.utils._http import hf_raise_for_status

    url = hf_hub_url(repo_id, path, revision=revision, endpoint=hub(token).endpoint)
    try:
        with explained(f"reading {path} of {repo_id}"):
            headers = build_hf_headers(token=token or False)
            asking = get_session().stream("GET", url, headers=headers, follow_redirects=True)
            with asking as answer:
                if answer.status_code == HTTPStatus.NOT_FOUND:
                    return None
                if answer.is_error:
                    answer.read()
                hf_raise_for_status(answer)
                content = bytearray()
                for piece in answer.iter_bytes():
                    content += piece
                    if most is not None and len(content) > most:
                        raise HubError(f"{path} of {repo_id} is larger than such files are.")
    except NotThere:
        return None
    # Large files are redirected to storage; only the answer of the Hub itself names the commit.
    told = (hop.headers.get(_COMMIT) for hop in (*answer.history, answer))
    return HubFile(content.decode("utf-8", "replace"), next(filter(None, told), ""))

"""What a job on this machine finds in its environment: what training needs, not all a user has.

A model or a data set may run or print what its maker likes, so passwords of databases and keys of
clouds stay behind. What is let through is named here; what a job is given comes on top.
"""

from __future__ import annotations

from collections.abc import Mapping

_NAMES = """
PATH HOME USER LOGNAME USERNAME SHELL LANG LANGUAGE TZ TERM TMPDIR TMP TEMP
VIRTUAL_ENV CONDA_PREFIX LD_LIBRARY_PATH DYLD_LIBRARY_PATH CC CXX
HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY
SSL_CERT_FILE SSL_CERT_DIR REQUESTS_CA_BUNDLE CURL_CA_BUNDLE
HUGGING_FACE_HUB_TOKEN DO_NOT_TRACK DISABLE_TELEMETRY
SYSTEMROOT SYSTEMDRIVE WINDIR COMSPEC PATHEXT USERPROFILE HOMEDRIVE HOMEPATH
APPDATA LOCALAPPDATA PROGRAMDATA PROGRAMFILES NUMBER_OF_PROCESSORS PROCESSOR_ARCHITECTURE OS
"""
NAMES = frozenset(_NAMES.split())
"""In capitals; proxies are written in small letters too, and Windows does not tell them apart."""

_PREFIXES = """
LC_ XDG_ PYTHON HUBTRAIN_ HF_ GRADIO_ TRANSFORMERS_ TOKENIZERS_
PIP_ UV_
CUDA_ NVIDIA_ NCCL_ HIP_ ROCR_ TORCH PYTORCH_ TRITON_ ACCELERATE_
BNB_ OMP_ MKL_ KMP_ OPENBLAS_
"""
PREFIXES = tuple(_PREFIXES.split())


def environment(environ: Mapping[str, str], tracker: str = "none") -> dict[str, str]:
    """Return what of a user's environment a job gets whose measurements go to `tracker`."""
    prefixes = PREFIXES
    if tracker not in {"", "none"}:
        prefixes = (*PREFIXES, f"{tracker.upper()}_")
    return {
        name: value
        for name, value in environ.items()
        if name.upper() in NAMES or name.upper().startswith(prefixes)
    }

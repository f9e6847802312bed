"""Where `hubtrain` begins: the token leaves its arguments before anything else is imported.

Every user of a machine can list the arguments of its processes. So nothing is imported here but
what Python has loaded anyway, and a program that was given `--token` becomes another one that finds
it in the environment. That one is started with `-P`: no file of the folder one stands in can pass
for a library. Ctrl-C is quiet from here on.
"""

import os
import sys

_SOURCES = os.path.abspath(__file__)
for _ in ("entry.py", "terminal", "orchestrator"):
    _SOURCES = os.path.dirname(_SOURCES)


def main() -> None:
    """Run the program on `sys.argv` and exit."""
    _hide_token()
    import signal

    signal.signal(signal.SIGINT, _leave)
    # Looking for plugins, pydantic would read what every installed package says of itself.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    from orchestrator.terminal.program import main as run

    signal.signal(signal.SIGINT, signal.default_int_handler)
    run()


def _leave(*_: object) -> None:
    """Exit at once: while the program is still importing there is nothing to clean up."""
    from orchestrator.terminal.exits import DETACHED

    os._exit(DETACHED)


def _hide_token() -> None:
    """Move `--token` from the arguments to HF_TOKEN."""
    token, rest = _without_token(sys.argv)
    if token is None:
        return
    os.environ["HF_TOKEN"] = token
    sys.argv = rest
    if sys.platform != "win32":  # there the new process would be another one
        # The sources come last in the path: they may lie among everybody's libraries.
        code = (
            f"import sys; sys.argv[0] = {rest[0]!r}; sys.path.append({_SOURCES!r});"
            " from orchestrator.terminal.entry import main; main()"
        )
        os.execv(sys.executable, [sys.executable, "-P", "-c", code, *rest[1:]])


def _without_token(argv: list[str]) -> tuple[str | None, list[str]]:
    token, rest, words = None, argv[:1], iter(argv[1:])
    for word in words:
        if word == "--token":
            token = next(words, None)
        elif word.startswith("--token="):
            token = word.removeprefix("--token=")
        else:
            rest.append(word)
    return token, rest


if __name__ == "__main__":
    main()

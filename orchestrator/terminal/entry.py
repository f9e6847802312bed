"""Where `hubtrain` begins: secrets leave its arguments before anything else is imported.

Every user of a machine can list the arguments of its processes. So nothing is imported here but
what Python has loaded anyway, and a program that was given `--token` or `--env` becomes another
one that finds them in the environment. That one is started with `-P`: no file of the folder one
stands in can pass for a library. Ctrl-C is quiet from here on.
"""

import os
import sys

_SOURCES = os.path.abspath(__file__)
for _ in ("entry.py", "terminal", "orchestrator"):
    _SOURCES = os.path.dirname(_SOURCES)


def main() -> None:
    """Run the program on `sys.argv` and exit."""
    _hide_secrets()
    import signal

    signal.signal(signal.SIGINT, _leave)
    # Looking for plugins, pydantic would read what every installed package says of itself.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    from orchestrator.terminal.program import main as run

    signal.signal(signal.SIGINT, signal.default_int_handler)
    run()


def _leave(number: int, _frame: object) -> None:
    """Exit at once: while the program is still importing there is nothing to clean up.

    With the code of shells, which `orchestrator.exits.DETACHED` is, too. Nothing is imported for
    it: that module may be half-way in just then.
    """
    os._exit(128 + number)


def _hide_secrets() -> None:
    """Move `--token` from the arguments to HF_TOKEN, and `--env` to HUBTRAIN_ENV."""
    taken, rest = _taken(sys.argv)
    if not taken:
        return
    if "--token" in taken:
        os.environ["HF_TOKEN"] = taken["--token"][-1]
    if "--env" in taken:
        import json

        os.environ["HUBTRAIN_ENV"] = json.dumps(taken["--env"])
    sys.argv = rest
    if sys.platform != "win32":  # there the new process would be another one
        # The sources come last in the path: they may lie among everybody's libraries.
        code = (
            f"import sys; sys.argv[0] = {rest[0]!r}; sys.path.append({_SOURCES!r});"
            " from orchestrator.terminal.entry import main; main()"
        )
        os.execv(sys.executable, [sys.executable, "-P", "-c", code, *rest[1:]])


def _taken(argv: list[str]) -> tuple[dict[str, list[str]], list[str]]:
    """Return what was said by the flags that hold secrets, and the other arguments.

    What stands behind `--` is meant for another program.
    """
    at = argv.index("--") if "--" in argv else len(argv)
    found: dict[str, list[str]] = {}
    rest, words = argv[:1], iter(argv[1:at])
    for word in words:
        flag, equals, value = word.partition("=")
        if flag in {"--token", "--env"}:
            found.setdefault(flag, []).append(value if equals else next(words, ""))
        else:
            rest.append(word)
    return found, rest + argv[at:]


if __name__ == "__main__":
    main()

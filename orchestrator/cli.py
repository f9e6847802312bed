"""The command line as a module, `python -m orchestrator.cli`; `entry` says how it begins."""

from orchestrator.entry import main

if __name__ == "__main__":
    main()

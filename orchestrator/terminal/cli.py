"""The command line as a module; `entry` says how it begins."""

from orchestrator.terminal.entry import main

if __name__ == "__main__":
    main()

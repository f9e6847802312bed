"""`python train.py --mode pretraining --optimizer galore --model llama_60m …`: `hubtrain train`."""

from __future__ import annotations

import sys

from orchestrator.terminal.entry import main

if __name__ == "__main__":
    sys.argv[:1] = ["hubtrain", "train"]
    main()

"""`python -m localhub`: a Hub on loopback."""

import sys

from localhub.cli import main

if __name__ == "__main__":
    sys.exit(main())

"""``python -m mlunlearn``."""

import sys

from mlunlearn.cli import main

if __name__ == "__main__":
    sys.exit(main())

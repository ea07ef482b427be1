"""Lets these tests import the oracle that they share (test modules are imported by path, not as a package)."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

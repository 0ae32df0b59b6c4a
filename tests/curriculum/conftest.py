"""Tests of this folder share what test_curriculum.py makes: the folder is on the path."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

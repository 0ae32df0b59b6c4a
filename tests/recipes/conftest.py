"""The tests of the recipes share what `test_grpo.py` makes."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

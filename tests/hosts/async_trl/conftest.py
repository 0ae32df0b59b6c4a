"""What these tests share lies beside them, and beside those of the synchronous host."""

import sys
from pathlib import Path

for folder in (Path(__file__).parents[1] / "trl", Path(__file__).parent):
    sys.path.insert(0, str(folder))

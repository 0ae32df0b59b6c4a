"""The process of one run: goes on from its last checkpoint, ends with its parent, notes that it is done.

python -m rlkit.arena.child FOLDER SCRIPT WORDS...
"""

import json
import os
import runpy
import shutil
import signal
import sys
import threading
import time
from pathlib import Path

FINISHED = "finished.json"
"""In the run's folder once its script has ended well: a run without it is half done."""


def main(folder: Path, script: str, words: list[str]) -> None:
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    started = time.time()
    (folder / FINISHED).unlink(missing_ok=True)
    if script == "simulated":
        from rlkit.arena.simulated import main as run_simulated

        shutil.rmtree(folder, ignore_errors=True)
        run_simulated(words)
    else:
        _run_script(script, [*words, *_resume_words(folder)])
    (folder / FINISHED).write_text(json.dumps({"wall_seconds": time.time() - started}))


def _run_script(script: str, words: list[str]) -> None:
    """As `python SCRIPT WORDS...`."""
    sys.argv = [script, *words]
    sys.path[0] = str(Path(script).resolve().parent)
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        if end.code not in (None, 0):
            raise


def _resume_words(folder: Path) -> list[str]:
    """What resumes a half-done run; one without a whole checkpoint starts again in an empty folder."""
    if any(folder.glob("checkpoint-*")):
        from rlkit.record.checkpoint import last_checkpoint  # torch, which the script loads in any case

        if last_checkpoint(folder) is not None:
            return ["--resume_from_checkpoint", "true"]
    shutil.rmtree(folder, ignore_errors=True)
    return []


def _end_with_parent(parent: int) -> None:
    """Else a comparison that was killed would leave runs behind that write beside those of the next one."""
    while os.getppid() == parent:
        time.sleep(0.2)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])

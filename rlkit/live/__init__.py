"""A running run, seen and steered: commands as data, the files that carry them, and the server of the page.

The run and whoever steers it meet in files of the run's folder only (`files.py`): the run never waits for a
server, and goes on as it was where there is none.
"""

from importlib.util import find_spec


def check_installed() -> None:
    """Raises ValueError where the server's libraries are missing."""
    missing = [name for name in ("fastapi", "uvicorn") if find_spec(name) is None]
    if missing:
        raise ValueError(
            f"live wants {' and '.join(missing)}, which are not installed: pip install 'rlkit[live]', or "
            "leave live out"
        )

"""The TRL host: the only files that name GRPOTrainer's private methods, so that the version of TRL matters.

`tests/hosts/trl/test_contract.py` lists what these files override and call, and what another version changed.
"""

from importlib.metadata import version

from packaging.specifiers import SpecifierSet

SUPPORTED = ">=1.16,<1.17"
"""The versions of TRL that the tests have run with; pyproject.toml asks for the same."""


def check_version(found: str) -> None:
    """Raises ImportError for a TRL whose private methods may be others."""
    if not SpecifierSet(SUPPORTED).contains(found, prereleases=True):
        raise ImportError(
            f"trl {found} is installed, and supported is trl{SUPPORTED}: pip install 'trl{SUPPORTED}'",
            name="trl",
        )


check_version(version("trl"))

"""`python -m rlkit.cli`."""

from rlkit.cli import main

main()

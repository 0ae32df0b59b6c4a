"""Functions that stand in for a trainer's methods for a while."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def answering(trainer: Any, **methods: Callable[..., Any]) -> Iterator[None]:
    """These answer in place of the trainer's methods of that name, or of what answered before."""
    own = vars(trainer)
    before = {name: own[name] for name in methods if name in own}
    own.update(methods)
    try:
        yield
    finally:
        for name in methods:
            del own[name]
        own.update(before)

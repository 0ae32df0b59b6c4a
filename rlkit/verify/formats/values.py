"""Values in columns: JSON texts, and LiveCodeBench's packed ones, decoded without running any code."""

import base64
import binascii
import io
import json
import pickle
import zlib
from typing import Any

from rlkit.verify.formats.task import UnusableRowError

MAX_UNPACKED_BYTES = 1 << 28


def from_json(value: Any, column: str) -> Any:
    """The value of a JSON text; what is no text is itself."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as error:
        raise UnusableRowError(f"{column} is not JSON: {error}") from error


def unpacked(value: str, column: str) -> str:
    """The text in base64(zlib(pickle(text))); a pickle of anything but text is refused, not run."""
    try:
        inflater = zlib.decompressobj()
        data = inflater.decompress(base64.b64decode(value, validate=True), MAX_UNPACKED_BYTES)
        if inflater.unconsumed_tail:
            raise UnusableRowError(f"{column} holds more than {MAX_UNPACKED_BYTES} bytes")
        plain = _PlainUnpickler(io.BytesIO(data)).load()
    except (binascii.Error, zlib.error, pickle.UnpicklingError, EOFError, ValueError, LookupError) as error:
        if isinstance(error, UnusableRowError):
            raise
        raise UnusableRowError(f"{column} is neither JSON nor a packed text: {error}") from error
    if not isinstance(plain, str):
        raise UnusableRowError(f"{column} holds a pickle of {type(plain).__name__}, not of text")
    return plain


class _PlainUnpickler(pickle.Unpickler):
    """Knows no class or function, so a pickle can name nothing to call."""

    def find_class(self, module_name: str, global_name: str) -> Any:
        raise pickle.UnpicklingError(f"a pickle that names {module_name}.{global_name}")

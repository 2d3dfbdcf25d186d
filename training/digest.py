"""The canonical bytes of a tensor: the same weights have one digest in every form."""

from __future__ import annotations

from typing import Any

import numpy as np


def add_tensor(digest: Any, name: str, values: Any) -> None:
    """Add a tensor to a hash: its name, shape and float32 little-endian bytes in C order.

    Args:
        digest: a hash of hashlib.
        name: of the tensor.
        values: NumPy array of any floating type.
    """
    wide = np.ascontiguousarray(values, dtype="<f4")
    digest.update(f"{name}\0{'x'.join(map(str, wide.shape))}\0".encode())
    digest.update(wide.data)

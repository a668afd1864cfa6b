"""Arrays from HDF5 files of others."""

from __future__ import annotations

import math
from typing import Any

from seqplrp.storage.deflate import MOST_INFLATED


def stored(dataset: Any) -> Any:
    """Read a dataset, of which a few bytes can announce more than the memory holds.

    Parameters
    ----------
    dataset : h5py.Dataset
        Numbers.

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        If it announces more than the file has content for, or holds no numbers.
    """
    if dataset.dtype.kind not in "biuf":
        raise ValueError(f"{dataset.name} holds {dataset.dtype}, no numbers")
    announced = math.prod(dataset.shape) * dataset.dtype.itemsize
    if announced > MOST_INFLATED * (dataset.id.get_storage_size() + 1):
        raise ValueError(f"{dataset.name} announces the shape {dataset.shape}, which the file has no content for")
    return dataset[()]

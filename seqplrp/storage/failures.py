"""What the operating system fails with on a user's path, told in one line."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from seqplrp.errors import SeqplrpError

_REMEDIES = {
    errno.EACCES: "choose a place that you may use, or change its permissions",
    errno.EPERM: "choose a place that you may use, or change its permissions",
    errno.EROFS: "choose a place that is not read-only",
    errno.ENOENT: "check the path",
    errno.ENOTDIR: "check the path: one of its parts is a file, not a directory",
    errno.EISDIR: "name a file, not a directory",
    errno.EEXIST: "choose another name, or remove what is there",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ELOOP: "check the path: its links lead in a circle",
    errno.ENOSPC: "free some space on that disk, or choose another",
    errno.EDQUOT: "free some of your disk quota, or choose another disk",
    errno.EFBIG: "choose a file system that takes files of this size",
    errno.EIO: "check that disk, or choose another",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ETXTBSY: "close the program that uses it",
    errno.EBUSY: "close the program that uses it, or choose another place",
    errno.ESTALE: "check that the network disk is mounted",
}


def from_os_error(error: OSError, place: object = None) -> SeqplrpError | None:
    """Tell a failure of the operating system on a user's path in one line.

    Parameters
    ----------
    error : OSError
        What was raised.
    place : object, optional
        What was being written or read, for errors that do not know it themselves (as when a disk fills up).

    Returns
    -------
    SeqplrpError or None
        None if the error names neither a file nor a reason that we know: then it is no user's doing.
    """
    code = error.errno
    if code is None:  # HDF5 puts the system's error into its text
        found = re.search(r"errno = (\d+)", str(error))
        code = int(found.group(1)) if found else None
    where = error.filename if error.filename is not None else place
    if code not in _REMEDIES or (where is None and code not in (errno.ENOSPC, errno.EDQUOT, errno.EIO)):
        return None
    if isinstance(where, bytes):
        where = where.decode(errors="replace")
    return SeqplrpError("output" if where is None else where, _reason(code), _REMEDIES[code])


@contextmanager
def naming(*paths: Path) -> Iterator[None]:
    """Let a failure of the system that names no file, as that of a full disk, name the one that is written or read.

    Parameters
    ----------
    *paths : Path
        In the order in which they are written: the last that is there is named, or the first if none is.
    """
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = os.fspath(next((path for path in reversed(paths) if path.exists()), paths[0]))
        raise


def _reason(code: int) -> str:
    return os.strerror(code).lower()

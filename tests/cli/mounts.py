"""Real file systems for tests: small ones, read-only ones, seen by no process but the one that mounts them."""

from __future__ import annotations

import ctypes
import fcntl
import multiprocessing
import os
import shutil
import subprocess
from array import array
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

_NEW_MOUNTS, _NEW_USER = 0x00020000, 0x10000000  # CLONE_NEWNS, CLONE_NEWUSER
_READ_ONLY, _REMOUNT, _BIND, _RECURSIVE, _PRIVATE, _RELATIME = 1, 32, 4096, 16384, 1 << 18, 1 << 21  # MS_...
_BLOCK_OF = 1  # FIBMAP
_MODULES = ["seqplrp.cli.explain", "seqplrp.pipeline", "commandline", "mounts"]


class NotAllowed(Exception):
    """The system lets this process mount nothing."""


def in_own_mounts(work: Callable[..., Any], *given: Any) -> Any:
    """Call a function of a test module in a process that may mount what no other sees; return what it returns.

    What it mounts goes with the process. Where the system allows no such thing the test is skipped, with the reason.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_MODULES)
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_answer, args=(sender, work, given))
    child.start()
    sender.close()
    try:
        found = receiver.recv()
    except EOFError:
        found = None
    child.join(60)
    if found is None:
        found = AssertionError(f"the process ended without an answer, with code {child.exitcode}")
    if isinstance(found, NotAllowed):
        pytest.skip(f"needs a mount namespace of its own, which this system refuses ({found})")
    if isinstance(found, BaseException):
        raise found
    return found


def _answer(sender: Any, work: Callable[..., Any], given: tuple[Any, ...]) -> None:
    try:
        _unshare()
        found = work(*given)
    except BaseException as error:
        import traceback

        found = error if isinstance(error, NotAllowed) else AssertionError(traceback.format_exc())
    sender.send(found)


def _unshare() -> None:
    """Leave the mounts of others: as root, or as root of a user namespace of our own."""
    uid, gid = os.getuid(), os.getgid()
    if _call("unshare", _NEW_MOUNTS) and _call("unshare", _NEW_USER | _NEW_MOUNTS):
        raise NotAllowed(f"unshare: {os.strerror(ctypes.get_errno())}")
    if uid != os.getuid():  # unmapped as yet
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
        Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
    mount("none", "/", None, _RECURSIVE | _PRIVATE)


def _call(name: str, *given: Any) -> int:
    return int(getattr(ctypes.CDLL(None, use_errno=True), name)(*given))


def mount(source: str, at: Path | str, kind: str | None, flags: int = 0, data: str = "") -> None:
    """Call mount(2)."""
    texts = [None if text is None else os.fsencode(text) for text in (source, at, kind)]
    if _call("mount", *texts, ctypes.c_ulong(flags), data.encode()):
        raise NotAllowed(f"mount {kind} {data}: {os.strerror(ctypes.get_errno())}")


def small_disk(at: Path, size: int, inodes: int = 0) -> None:
    """Mount a file system of so many bytes (in memory) on a directory, which is made."""
    at.mkdir(parents=True, exist_ok=True)
    mount("tmpfs", at, "tmpfs", 0, f"size={size}" + (f",nr_inodes={inodes}" if inodes else ""))


def resize(at: Path, size: int) -> None:
    """Give a small disk another size, which must not be below what is used."""
    mount("tmpfs", at, "tmpfs", _REMOUNT, f"size={size}")


def used(at: Path) -> int:
    """Return how many bytes of a file system are taken."""
    found = os.statvfs(at)
    return (found.f_blocks - found.f_bfree) * found.f_frsize


def read_only(at: Path, *, bind: bool = False) -> None:
    """Let nobody write to a file system, or (bind) to a directory of one that others may go on writing to."""
    if bind:
        mount(str(at), at, None, _BIND)
    mount("none", at, None, _REMOUNT | _READ_ONLY | ((_BIND | _locked(at)) if bind else 0))


def writable(at: Path, *, bind: bool = False) -> None:
    """Let a file system, or a directory, be written to again."""
    mount("none", at, None, _REMOUNT | ((_BIND | _locked(at)) if bind else 0))


def _locked(at: Path) -> int:
    """Return the settings of a file system that nobody but root may change: what a remount must say again."""
    flags = os.statvfs(at).f_flag
    return (flags & (os.ST_NOSUID | os.ST_NODEV | os.ST_NOEXEC | os.ST_NOATIME | os.ST_NODIRATIME)) | (
        _RELATIME if flags & os.ST_RELATIME else 0
    )


def command(*arguments: object) -> tuple[int, str, str]:
    """Run the command line here; return its exit code and what it said."""
    from seqplrp.cli import main

    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main([str(argument) for argument in arguments])
    return code, out.getvalue(), err.getvalue()


def without_overrides() -> None:
    """Let permissions hold for this process, whoever runs it: root's power to pass over them is given up."""

    class Header(ctypes.Structure):
        _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]

    header, sets = Header(0x20080522, 0), (ctypes.c_uint32 * 6)()  # of effective, permitted and inheritable: two halves
    if _call("capget", ctypes.byref(header), sets):
        raise NotAllowed(f"capget: {os.strerror(ctypes.get_errno())}")
    for number in (0, 1):
        sets[number] &= ~0b110  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    if _call("capset", ctypes.byref(header), sets):
        raise NotAllowed(f"capset: {os.strerror(ctypes.get_errno())}")


@dataclass(frozen=True)
class BrittleDisk:
    """A disk of its own, in a file, of which a part can be lost: what lay there can't be read any more.

    Parameters
    ----------
    at : Path
        Where it is mounted.
    image : Path
        The file.
    """

    at: Path
    image: Path

    @classmethod
    def holding(cls, files: Path, at: Path, image: Path, size: int) -> BrittleDisk:
        """Make a disk of so many bytes that holds what lies in a folder; needs loop devices, which root alone has."""
        programs = [name for name in ("mke2fs", "mount") if shutil.which(name) is None]
        if programs:
            raise NotAllowed(f"{programs[0]} is not installed")
        make = [
            "mke2fs",
            "-q",
            "-F",
            "-t",
            "ext4",
            "-b",
            "4096",
            "-O",
            "^has_journal",
            "-d",
            files,
            image,
            str(size >> 10),
        ]
        subprocess.run(list(map(str, make)), check=True, capture_output=True)
        at.mkdir()
        done = subprocess.run(["mount", "-o", "loop", image, at], capture_output=True, text=True)
        if done.returncode:
            raise NotAllowed(f"mount -o loop: {done.stderr.strip()}")
        return cls(at, image)

    def loses(self, path: Path, after: int) -> None:
        """Lose a file from about so many bytes on, with all that lies behind it on the disk."""
        with open(path, "rb") as file:
            os.fsync(file.fileno())
            block = array("i", [after >> 12])
            fcntl.ioctl(file, _BLOCK_OF, block)
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)  # or it is read from memory
        os.truncate(self.image, block[0] << 12)

"""Files that survive a crash: written beside, synced, renamed; and the lock that keeps two writers apart."""

import errno
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from ktrdr.contracts.models import Content
from ktrdr.errors import StorageFailed

_REASONS = {
    errno.ENOSPC: "the disk is full; free some space and try again",
    errno.EDQUOT: "the disk quota is used up; free some space and try again",
    errno.EFBIG: "the file would be larger than the system allows; raise the limit on file sizes and try again",
    errno.EACCES: "there is no permission; make the folder writable or choose another one",
    errno.EPERM: "there is no permission; make the folder writable or choose another one",
    errno.EROFS: "the disk is read-only; make it writable or choose another folder",
    errno.ENOTDIR: "a file stands where a folder has to be; move it away or choose another folder",
    errno.EEXIST: "something else stands where a folder has to be; move it away or choose another folder",
}


@contextmanager
def storage_failures(action: str, folder: Path) -> Iterator[None]:
    """Turn what the system refuses inside into one sentence: `cannot {action} in {folder}: …` (StorageFailed)."""
    try:
        yield
    except OSError as error:
        reason = _REASONS.get(error.errno or 0, f"{error.strerror or error}; mend that and try again")
        raise StorageFailed(f"cannot {action} in {folder}: {reason}") from error


class Digesting:
    """A file to write to that knows the sha256 and the size of what went through it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._sha256 = hashlib.sha256()
        self.size = 0

    def write(self, content: bytes) -> int:
        self._sha256.update(content)
        self.size += len(content)
        return self._file.write(content)

    def flush(self) -> None:
        self._file.flush()

    @property
    def sha256(self) -> str:
        """The digest so far, in hexadecimal."""
        return self._sha256.hexdigest()


def write_content(content: Content, file: BinaryIO) -> Digesting:
    """Write it there; its digest and size."""
    digesting = Digesting(file)
    if isinstance(content, bytes | bytearray | memoryview):
        digesting.write(bytes(content))
    else:
        content(cast("BinaryIO", digesting))
    return digesting


def write_synced(path: Path, content: Content) -> Digesting:
    """Write `content` to `path` and wait until the disk has it; its digest and size. Not atomic: write to a hidden
    place, then rename."""
    with path.open("wb") as file:
        written = write_content(content, file)
        file.flush()
        os.fsync(file.fileno())
    return written


def replace_file(path: Path, content: Content, *, private: bool = False) -> None:
    """Let `path` hold `content`, at once for every reader and also after a crash; `private`: for this user alone."""
    beside = path.with_name(f".{path.name}.new")
    if private:
        beside.unlink(missing_ok=True)
        beside.touch(mode=0o600)
    write_synced(beside, content)
    beside.replace(path)
    fsync_folder(path.parent)


def fsync_folder(folder: Path) -> None:
    """Wait until the disk has the names in `folder`: what was created, renamed or removed there."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(folder: Path) -> None:
    """Create `folder` and the parents it lacks, so that they are still there after a power cut."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for place in missing:
        fsync_folder(place.parent)


def replace_link(link: Path, target: str, *, beside: Path) -> None:
    """Let `link` point to `target`, relative to its folder, at once for every reader. `beside` is a hidden name."""
    beside.unlink(missing_ok=True)
    beside.symlink_to(target)
    beside.rename(link)


def remove_tree(path: Path) -> None:
    """Remove a folder with all it holds, or a file, or a link (not what it points to); nothing there is fine."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def exclusive_lock(path: Path) -> Iterator[None]:
    """Hold the lock file `path` alone, among all threads and processes of this machine; wait for it if need be.

    The folder of `path` is created when it is missing. The lock ends with the process that holds it, however that
    dies. Its holder may remove the file, and the folder: whoever waits notices and starts over.
    """
    handle = _acquire(path)
    try:
        yield
    finally:
        fcntl.flock(handle, fcntl.LOCK_UN)  # not only closed: a forked child may have the handle too
        os.close(handle)


def try_lock(path: Path) -> int | None:
    """The handle of the lock file `path`, held until this process ends or closes it; None while somebody holds it."""
    make_folder(path.parent)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


def _acquire(path: Path) -> int:
    while True:
        try:
            path.parent.mkdir()
        except FileExistsError:
            if path.parent.is_symlink() and not path.parent.exists():
                raise
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except FileNotFoundError:
            continue  # the folder was removed since; making it again says so if its parent went too
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if _is_open_at(handle, path):
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _is_open_at(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False

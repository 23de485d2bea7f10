"""Files and folders that appear whole or not at all: temporary names that say whose they are, renames, hashes."""

import errno
import hashlib
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from threading import get_ident

#: How often to try where others put theirs in the same place.
TRIES = 100


def temporary(path: Path) -> Path:
    """A name beside `path` that no other thread, process or machine uses, and that says whose it is."""
    return path.with_name(f".{path.name}-{socket.gethostname()}-{os.getpid()}-{get_ident()}.tmp")


def remove(path: Path) -> None:
    """Remove a file, or a folder with all that is in it; nothing if it is not there."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def put(finished: Path, path: Path) -> None:
    """Give what is finished its name, in place of a file or folder that had it.

    A folder cannot be replaced in one step: what stood there goes first, unless it is the same. Another writer may
    put its own there meanwhile, or take away what it finds, which is no reason to stop.
    """
    aside = temporary(path.with_name(f"{path.name}-old"))
    for attempt in range(1, TRIES + 1):
        try:
            os.replace(finished, path)
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or attempt == TRIES:
                raise
        try:
            if file_hash(path) == file_hash(finished):
                remove(finished)
                return
            os.replace(path, aside)
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            continue  # another writer took it away, or put another, while it was read
        remove(aside)


def file_hash(path: Path) -> str:
    """SHA-256 of a file; of a folder, that of the names and hashes of the files in it."""
    if not path.is_dir():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    digest = hashlib.sha256()
    for inside in _files(path):
        digest.update(f"{file_hash(inside)}  {inside.relative_to(path).as_posix()}\n".encode())
    return digest.hexdigest()


def file_size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder; raises `FileNotFoundError` if it is not there."""
    if not path.is_dir():
        return path.stat().st_size
    return sum(file.stat().st_size for file in _files(path))


def _files(folder: Path) -> Iterator[Path]:
    yield from sorted(path for path in folder.rglob("*") if not path.is_dir())


def write_text(path: Path, text: str) -> None:
    """Write a text file under a temporary name, then rename it."""
    unfinished = temporary(path)
    try:
        with unfinished.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def unwritable(path: Path, error: object) -> str:
    """What to say where a file cannot be written."""
    return (
        f"{path} could not be written ({error}); free space there, or make the folder writable, then run the same "
        "command again: what is finished is kept."
    )

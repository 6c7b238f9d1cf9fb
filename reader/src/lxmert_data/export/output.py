"""Gives an export its name only when it is whole: temporary name in the same folder, sync, rename."""

from __future__ import annotations

import errno
import os
import re
import shutil
import socket
from collections.abc import Mapping

from ..errors import StoreError

# Written into every exported folder; only folders that have it are ever replaced.
MARKER = "lxmert-data-export.json"
# Up to so many files are synced one by one, more by one sync of everything.
_MAX_SINGLE_SYNCS = 64

_HOST = re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())[:40]


class Output:
    """A file or folder `target` to be, with small files beside it (`companions`: name to content)."""

    def __init__(self, target: str, is_folder: bool, force: bool, companions: Mapping[str, bytes]) -> None:
        self.target = os.path.abspath(target)
        self._is_folder = is_folder
        self._force = force
        self._companions = {f"{os.path.splitext(self.target)[0]}{end}": text for end, text in companions.items()}
        folder, name = os.path.split(self.target)
        self.partial = os.path.join(folder, f"{name}.{_HOST}-{os.getpid()}.export.partial")

    def check(self, store: str, needed_bytes: int) -> None:
        """Raises StoreError where the export cannot be begun: no folder, taken names, a full disk."""
        folder = os.path.dirname(self.target)
        if not os.path.isdir(folder):
            raise StoreError("the output folder does not exist", folder, hint=f"create it: mkdir -p {folder}")
        self._check_names(store)
        self._remove_stale(folder)
        self.check_room(needed_bytes)

    def check_room(self, needed_bytes: int) -> None:
        """Raises StoreError where the disk has less than `needed_bytes` left."""
        folder = os.path.dirname(self.target)
        free = shutil.disk_usage(folder).free
        if free < needed_bytes:
            raise no_space(folder, needed_bytes, free)

    def begin(self) -> None:
        if self._is_folder:
            os.mkdir(self.partial)

    def publish(self, store: str) -> None:
        """Syncs what was written and gives it its name."""
        for path in _sync_all(self.partial) if self._is_folder else (self.partial,):
            _sync(path)
        self._check_names(store)
        for path, content in self._companions.items():
            self._publish_companion(path, content)
        aside = f"{self.partial}.old"
        replaces_folder = os.path.isdir(self.target)
        if replaces_folder:
            os.rename(self.target, aside)
        os.replace(self.partial, self.target)
        _sync(os.path.dirname(self.target))
        if replaces_folder:
            shutil.rmtree(aside)

    def discard(self) -> None:
        """Removes the temporary file or folder."""
        _remove(self.partial)

    def _check_names(self, store: str) -> None:
        for path in (self.target, *self._companions):
            if not os.path.lexists(path):
                continue
            if os.path.exists(path) and os.path.samefile(path, store):
                raise StoreError("the output is the store itself", path, hint="give another name")
            if os.path.isdir(path) != (self._is_folder and path == self.target):
                wanted = "a folder" if self._is_folder else "a file"
                raise StoreError("the output is of another kind", path, wanted, "a file or folder of that name")
            if self._force and os.path.isdir(path) and not _is_replaceable(path):
                raise StoreError(
                    "the output is a folder that no export wrote", path, f"one with {MARKER}, or an empty one",
                    hint="give another name, or remove it yourself",
                )  # fmt: skip
            # What a run that was killed between its last two steps left behind is not in the way.
            if self._force or (path != self.target and _read(path) == self._companions[path]):
                continue
            raise StoreError("the output exists already", path, hint="give another name, or replace it with --force")

    def _publish_companion(self, path: str, content: bytes) -> None:
        partial = f"{self.partial}.companion"
        try:
            with open(partial, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, path)
        finally:
            _remove(partial)

    def _remove_stale(self, folder: str) -> None:
        name = re.escape(f"{os.path.basename(self.target)}.{_HOST}-")
        pattern = re.compile(rf"{name}([0-9]+)\.export\.partial(\.[a-z]+)?")
        for entry in os.listdir(folder):
            found = pattern.fullmatch(entry)
            if found is not None and not _is_running(int(found[1])) and found[2] != ".old":
                _remove(os.path.join(folder, entry))


def no_space(where: str, needed: int, free: int) -> StoreError:
    return StoreError(
        "not enough disk space",
        where,
        f"{needed / 1e9:.2f} GB free",
        f"{free / 1e9:.2f} GB free",
        f"free {max(needed - free, 1e7) / 1e9:.2f} GB more, or choose another disk",
    )


def is_disk_full(error: BaseException) -> bool:
    """Whether a library failed because the disk is full; some hide the number in their message."""
    return getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "No space left" in str(error)


def _is_replaceable(folder: str) -> bool:
    names = os.listdir(folder)
    return not names or MARKER in names


def _is_running(pid: int) -> bool:
    if pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.remove(path)


def _sync_all(folder: str) -> list[str]:
    paths = [entry.path for entry in os.scandir(folder)]
    if len(paths) > _MAX_SINGLE_SYNCS and hasattr(os, "sync"):
        os.sync()
        return [folder]
    return [*paths, folder]


def _sync(path: str) -> None:
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        if os.path.isdir(path):  # Windows opens no folders
            return
        raise
    try:
        os.fsync(handle)
    except OSError as error:
        # Some file systems cannot sync a folder; the rename is then as durable as they make it.
        if not (os.path.isdir(path) and error.errno in (errno.EINVAL, errno.EPERM, errno.ENOTSUP, errno.EBADF)):
            raise
    finally:
        os.close(handle)

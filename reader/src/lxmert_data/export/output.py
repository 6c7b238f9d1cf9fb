"""Gives an export its name only when it is whole: private folder beside the target, sync, rename."""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import socket
import stat
from collections.abc import Mapping, Sequence

from ..errors import DiskFullError, ExportRequestError, OutputError, OutputExistsError

# Written into every exported folder; only folders that have it are ever replaced.
MARKER = "lxmert-data-export.json"
# Up to so many files are synced one by one, more by one sync of everything.
_MAX_SINGLE_SYNCS = 64

_HOST = re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())[:40]


class Output:
    """A file or folder `target` to be, with small files beside it (`companions`: end of the name to content).

    `path` is where it is written: in a folder with a random name that only its owner may enter, so that nobody else
    can plant a link or a file there. What is published is taken out of that folder by its handle.
    """

    def __init__(self, target: str, *, is_folder: bool, force: bool) -> None:
        self.target = os.path.abspath(target)
        self._is_folder = is_folder
        self._force = force
        self._companions: dict[str, bytes] = {}
        self._folder, self._name = os.path.split(self.target)
        self._private = f"{self.target}.{_HOST}-{os.getpid()}-{secrets.token_hex(8)}.export.partial"
        self._handle: int | None = None
        self.path = os.path.join(self._private, self._name)

    def check(self, stores: Sequence[str], companions: Mapping[str, bytes], needed_bytes: int) -> None:
        """Raises OutputError where the export cannot be begun: no folder, taken names, a full disk."""
        if not os.path.isdir(self._folder):
            raise OutputError(
                "the output folder does not exist", self._folder, hint=f"create it: mkdir -p {self._folder}"
            )
        stem = os.path.splitext(self.target)[0]
        self._companions = {f"{stem}{end}": content for end, content in companions.items()}
        self._check_names(stores)
        self._remove_stale()
        self.check_room(needed_bytes)

    def check_room(self, needed_bytes: int) -> None:
        """Raises DiskFullError where the disk has less than `needed_bytes` left."""
        usage = shutil.disk_usage(self._folder)
        # Some network file systems report no blocks at all: what is free is not known then.
        if usage.total > 0 and usage.free < needed_bytes:
            raise no_space(self._folder, needed_bytes, usage.free)

    def begin(self) -> None:
        os.mkdir(self._private, 0o700)
        if os.name == "posix":
            self._handle = os.open(self._private, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        if self._is_folder:
            os.mkdir(self.path)

    def publish(self, stores: Sequence[str]) -> None:
        """Syncs what was written and gives it its name."""
        for path in _sync_all(self.path) if self._is_folder else (self.path,):
            _sync(path)
        self._check_names(stores)
        for path, content in self._companions.items():
            self._publish_companion(path, content)
        # Not inside the private folder: what it holds is removed after a crash.
        aside = f"{self._private}.old"
        replaces_folder = os.path.isdir(self.target)
        if replaces_folder:
            os.rename(self.target, aside)
        self._move_out(self._name, self.target)
        _sync(self._folder)
        self.discard()
        if replaces_folder:
            shutil.rmtree(aside)

    def discard(self) -> None:
        """Removes the private folder."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
        _remove(self._private)

    def _move_out(self, name: str, path: str) -> None:
        """Renames out of the folder that was made, even if another has its name by now."""
        if self._handle is None:
            os.replace(os.path.join(self._private, name), path)
        else:
            os.replace(name, path, src_dir_fd=self._handle)

    def _check_names(self, stores: Sequence[str]) -> None:
        for path in (self.target, *self._companions):
            if os.path.lexists(path):
                self._check_taken_name(path, stores)

    def _check_taken_name(self, path: str, stores: Sequence[str]) -> None:
        if os.path.exists(path) and any(os.path.samefile(path, store) for store in stores):
            raise ExportRequestError("the output is the store itself", path, hint="give another name")
        if os.path.isdir(path) != (self._is_folder and path == self.target):
            wanted = "a folder" if self._is_folder else "a file"
            raise OutputError("the output is of another kind", path, wanted, "a file or folder of that name")
        if self._force and os.path.isdir(path) and not _is_replaceable(path):
            raise OutputError(
                "the output is a folder that no export wrote",
                path,
                f"one with {MARKER}, or an empty one",
                hint="give another name, or remove it yourself",
            )
        # What a run that was killed between its last two steps left behind is not in the way.
        if self._force or (path != self.target and _holds(path, self._companions[path])):
            return
        raise OutputExistsError("the output exists already", path, hint="give another name, or replace it with --force")

    def _publish_companion(self, path: str, content: bytes) -> None:
        # The name of the export itself is taken in there already; a companion's differs from it.
        name = os.path.basename(path)
        with open(os.path.join(self._private, name), "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        self._move_out(name, path)

    def _remove_stale(self) -> None:
        """Removes what runs of this host and user left that have ended."""
        name = re.escape(f"{self._name}.{_HOST}-")
        pattern = re.compile(rf"{name}([0-9]+)(-[0-9a-f]+)?\.export\.partial")
        for entry in os.scandir(self._folder):
            found = pattern.fullmatch(entry.name)
            if found is not None and _is_own(entry.path) and not _is_running(int(found[1])):
                _remove(entry.path)


def no_space(where: str, needed: int, free: int) -> DiskFullError:
    return DiskFullError(
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


def _is_own(path: str) -> bool:
    return not hasattr(os, "getuid") or os.lstat(path).st_uid == os.getuid()


def _holds(path: str, content: bytes) -> bool:
    """Whether a file has this content; a pipe or another special file is not opened."""
    status = os.lstat(path)
    if not stat.S_ISREG(status.st_mode) or status.st_size != len(content):
        return False
    with open(path, "rb") as file:
        return file.read() == content


def _remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.remove(path)


def _sync_all(folder: str) -> list[str]:
    folders: list[str] = []
    files: list[str] = []
    for path, _, names in os.walk(folder, topdown=False):
        folders.append(path)
        files.extend(os.path.join(path, name) for name in names)
    if len(files) > _MAX_SINGLE_SYNCS and hasattr(os, "sync"):
        os.sync()
        return folders
    return [*files, *folders]


# What file systems answer that cannot sync a folder.
_NO_FOLDER_SYNC = (errno.EINVAL, errno.EPERM, errno.ENOTSUP, errno.EBADF, errno.EACCES, errno.EISDIR, errno.ENOSYS)


def _sync(path: str) -> None:
    try:
        # Windows syncs only what is open for writing.
        handle = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    except OSError:
        if os.path.isdir(path):  # Windows opens no folders
            return
        raise
    try:
        os.fsync(handle)
    except OSError as error:
        # Some file systems cannot sync a folder; the rename is then as durable as they make it.
        if not (os.path.isdir(path) and error.errno in _NO_FOLDER_SYNC):
            raise
    finally:
        os.close(handle)

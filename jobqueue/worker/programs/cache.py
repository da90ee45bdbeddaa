"""Programs that were downloaded before, by their SHA-256: `<directory>/<first two digits>/<sha256>`.

Every slot and every worker of this user on a host may share one directory. A job of the same user may write there, too,
so nothing in it is believed: a program is hashed whenever it is taken out, and what is taken out is a copy.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from jobqueue import logs
from jobqueue.worker.host.lock_file import hold
from jobqueue.worker.host.private_directory import make_own, mend_own
from jobqueue.worker.programs.download import (
    ChecksumMismatch,
    DownloadFailed,
    DownloadRules,
    DownloadStopped,
    allowed_address,
    download,
)
from jobqueue.worker.programs.verified_copy import copy_verified

SHA256 = re.compile(r"[0-9a-f]{64}")
UNFINISHED = re.compile(r"([0-9a-f]{64})(\.[0-9a-f]+\.part|\.lock)")
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class _Wish:
    """Which program, from where, to where, and until when it is wanted."""

    url: str
    sha256: str
    target: Path
    stopped: threading.Event


class Cache:
    """The programs in one directory. Any thread may `fetch`.

    After each download the least recently used go until the rest is no larger than `max_bytes`; what is just being
    downloaded comes on top of that. With 0 bytes nothing is kept, and nobody waits for anybody.
    """

    def __init__(self, directory: Path, max_bytes: int, rules: DownloadRules) -> None:
        """Make the directory, for us alone, and remove what downloads of dead workers have left there.

        Raises OSError when it is a link, or somebody else's, or cannot be made.
        """
        self._directory = directory
        self._max_bytes = max_bytes
        self._rules = rules
        make_own(directory)
        self._sweep()

    def fetch(self, url: str, sha256: str, target: Path, stopped: threading.Event) -> bool:
        """Put the program at `url` into `target`, a new file, mode 0500; return whether that took no download.

        Of many that want the same program at once, one downloads it and the others wait. Raises what `download`
        raises; OSError, too, when there is no place for it though everything else has been thrown out of the cache.
        Then there is no file.
        """
        if not SHA256.fullmatch(sha256):
            raise DownloadFailed("its SHA-256 is none", url)
        allowed_address(url, self._rules)  # what is cached does not decide what is allowed
        wish = _Wish(url, sha256, target, stopped)
        try:
            return self._fetch(wish)
        except OSError as error:
            apart = self._directory.stat().st_dev != target.parent.stat().st_dev
            if error.errno not in DISK_FULL or (apart and self._has_more_room_than(target.parent)):
                raise
            if not self._evict(0, sha256) and not apart:
                raise
        return self._fetch_alone(wish) if apart else self._fetch(wish)

    def _has_more_room_than(self, directory: Path) -> bool:
        return _room(self._directory) > _room(directory)

    def _fetch_alone(self, wish: _Wish) -> bool:
        """Download it without the cache."""
        with _finished_or_gone(wish.target):
            download(wish.url, wish.sha256, wish.target, wish.stopped, self._rules)
        return False

    def _fetch(self, wish: _Wish) -> bool:
        if self._max_bytes <= 0:
            return self._fetch_alone(wish)
        return self._take(wish) or self._take_or_store(wish)

    def _take(self, wish: _Wish) -> bool:
        """Copy the entry, if there is a good one; throw a bad one out. Takes no lock: an open file stays readable."""
        entry = self._entry(wish.sha256)
        with _opened(entry) as source_fd:
            if source_fd is None or os.fstat(source_fd).st_size > self._rules.max_bytes:
                return False
            if copy_verified(source_fd, wish.target, wish.sha256, wish.stopped):
                with suppress(OSError):
                    os.utime(source_fd)
                return True
        logs.logger().warning("cache_corrupted", path=entry)
        if not _removed(entry):
            shutil.rmtree(entry, ignore_errors=True)
        return False

    def _take_or_store(self, wish: _Wish) -> bool:
        """Download it, as the only one unless the wait was too long, or take what somebody else just has."""
        shard = self._make_shard(wish.sha256)
        with hold(shard / f"{wish.sha256}.lock", wish.stopped, self._rules.timeout_seconds):
            if wish.stopped.is_set():
                raise DownloadStopped
            if self._take(wish):
                return True
            self._store(wish, shard / f"{wish.sha256}.{secrets.token_hex(8)}.part")
        return False

    def _store(self, wish: _Wish, part: Path) -> None:
        """Download it, copy it, keep it: in this order, so that nobody has evicted it before it is copied."""
        try:
            download(wish.url, wish.sha256, part, wish.stopped, self._rules)
            with _opened(str(part)) as source_fd:
                if source_fd is None:  # swept by another worker, since we have waited too long for the lock
                    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(part))
                if not copy_verified(source_fd, wish.target, wish.sha256, wish.stopped):
                    raise ChecksumMismatch("the file was changed as soon as it was there", wish.url)
            self._keep(part, wish.sha256)
        finally:
            with suppress(OSError):
                part.unlink()

    def _keep(self, part: Path, sha256: str) -> None:
        """Make an entry of what was downloaded, unless it is too large. Never raises: the program is there already."""
        try:
            if part.stat().st_size <= self._max_bytes:
                part.replace(self._entry(sha256))
                self._evict(self._max_bytes, sha256)
        except OSError as error:
            logs.logger().warning("cache_store_failed", path=self._entry(sha256), reason=str(error))

    def _evict(self, max_bytes: int, kept: str) -> bool:
        """Remove the least recently used until the rest is small enough, all but one; return whether any was removed.

        Others may do the same at the same time.
        """
        entries = sorted(self._entries())
        left, removed = sum(size for _, size, _ in entries), False
        for _, size, path in entries:
            if left <= max_bytes:
                break
            if os.path.basename(path) != kept:
                removed |= _removed(path)
                left -= size
        return removed

    def _entries(self) -> Iterator[tuple[int, int, str]]:
        """Yield when it was last used, the size and the path of every entry."""
        for file in self._files():
            if SHA256.fullmatch(file.name):
                with suppress(OSError):
                    info = file.stat(follow_symlinks=False)
                    yield info.st_mtime_ns, info.st_size, file.path

    def _files(self) -> Iterator[os.DirEntry[str]]:
        for shard in [*os.scandir(self._directory)]:
            with suppress(OSError):
                if shard.is_dir(follow_symlinks=False):
                    yield from [*os.scandir(shard)]

    def _sweep(self) -> None:
        """Remove parts and locks that nobody holds."""
        found = [(match[1], file.path) for file in self._files() if (match := UNFINISHED.fullmatch(file.name))]
        for sha256, path in found:
            lock = Path(path).with_name(f"{sha256}.lock")
            with suppress(OSError), hold(lock, threading.Event(), 0) as held:
                if held and path.endswith(".part"):
                    os.unlink(path)

    def _entry(self, sha256: str) -> str:
        return f"{self._directory}/{sha256[:2]}/{sha256}"

    def _make_shard(self, sha256: str) -> Path:
        """Return where an entry lies, made again in case that a job has removed it or closed it to us."""
        mend_own(self._directory)
        shard = self._directory / sha256[:2]
        mend_own(shard)
        return shard


def _room(directory: Path) -> int:
    """Return how many bytes fit on a disk, none when it has no place for another file (`f_files` 0: it counts none)."""
    disk = os.statvfs(directory)
    return disk.f_bavail * disk.f_frsize if disk.f_favail or not disk.f_files else 0


@contextmanager
def _opened(path: str) -> Iterator[int | None]:
    """Hand out an open file; None when there is none, or none that can be read."""
    try:
        source_fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        yield None
        return
    try:
        yield source_fd
    finally:
        os.close(source_fd)


def _removed(path: str) -> bool:
    try:
        os.unlink(path)
    except OSError:
        return False
    return True


@contextmanager
def _finished_or_gone(target: Path) -> Iterator[None]:
    """Leave no file when the context ends with an error."""
    try:
        yield
    except BaseException:
        target.unlink(missing_ok=True)
        raise

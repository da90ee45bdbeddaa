"""Programs that were downloaded before, by their SHA-256: `<directory>/<first two digits>/<sha256>`.

Every slot, and every worker of this user on a host, may share one directory. A job of the same user can write there,
too, so nothing in it is trusted: a program is hashed whenever it is taken out, and what is handed out is a copy.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from jobqueue import logs
from jobqueue.net.time_limit import TICK_SECONDS
from jobqueue.worker.failures import Failure
from jobqueue.worker.host.lock_file import hold
from jobqueue.worker.host.private_directory import make_own, mend_own
from jobqueue.worker.programs.cache_files import SHA256, Entries, free_bytes, mark_as_used, open_entry, try_to_remove
from jobqueue.worker.programs.download import Downloader
from jobqueue.worker.programs.errors import DownloadFailed, DownloadStopped
from jobqueue.worker.programs.kept_copies import KeptCopies
from jobqueue.worker.programs.policy import DownloadRules
from jobqueue.worker.programs.program_request import ProgramRequest, always
from jobqueue.worker.programs.verified_copy import copy_verified, hold_verified

CHANGED = "the file was changed as soon as it was downloaded"
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


class Cache:
    """The programs in one directory. Any thread may `fetch`.

    After each download the least recently used programs are removed until the rest takes at most `max_bytes`. That
    limit does not count downloads under way. With 0 bytes nothing is cached, and no download waits for another.

    A file that is downloaded has a name of its own, `<sha256>.<random>.part`, until it is complete, and is locked by
    the slot that downloads it. `<sha256>.lock` is locked during each try to download the program.
    """

    def __init__(self, directory: Path, max_bytes: int, rules: DownloadRules, kept: KeptCopies | None = None) -> None:
        """Make the directory, accessible to us alone, and remove what downloads of dead workers have left there.

        With `kept`, copies are used again. Raises OSError when the directory is a link, belongs to another user, or
        cannot be made.
        """
        self.directory = directory
        self._max_bytes = max_bytes
        self._rules = rules
        self._copies = kept
        self._downloader = Downloader(rules)
        self._entries = Entries(directory)
        make_own(directory)
        self._entries.remove_unfinished()

    def fetch(
        self, url: str, sha256: str, target: Path, stopped: threading.Event, may_wait: Callable[[], bool] = always
    ) -> bool:
        """Put the program at `url` into `target` as `fetch_requested` does, and do not keep it open."""
        request = ProgramRequest(url, sha256, target, stopped, may_wait)
        with closing(request.verified):
            return self.fetch_requested(request)

    def fetch_requested(self, request: ProgramRequest) -> bool:
        """Put a program into its target, a new file, mode 0500; return whether it came from the cache. Unless this
        raises something, `request.verified` keeps the file open.

        When several requests for one program arrive at once, one downloads it and the others wait. Raises what
        `Downloader.download` raises, and OSError when the disk is full even after the cache was emptied. After an error
        there is no file at the target.
        """
        target, sha256 = request.target, request.sha256
        if not SHA256.fullmatch(sha256):
            raise DownloadFailed("binary_sha256 is not a SHA-256", request.url, Failure.UNREADABLE)
        self._rules.check_program(sha256)
        self._rules.check_url(request.url)  # even for a cached program: the rules may have changed since then
        try:
            return self._fetch(request)
        except OSError as error:
            if error.errno not in DISK_FULL:
                raise
            # The error does not say which disk is full: the cache's or the target's, which may be the same. Emptying
            # the cache makes space on its own disk only. So when the target is on another disk, and that is the fuller
            # one, there is nothing to do.
            dropped = self._copies is not None and self._copies.drop_all()
            apart = self.directory.stat().st_dev != target.parent.stat().st_dev
            if apart and not dropped and free_bytes(self.directory) > free_bytes(target.parent):
                raise
            # On one disk the second try needs the space of an entry. If there was none to remove, it would fail again.
            if not self._entries.evict(0, sha256) and not apart and not dropped:
                raise
        # On two disks the second try bypasses the cache, whose disk may still be full. The target's disk has space.
        return self._download(request) if apart else self._fetch(request)

    def _fetch(self, request: ProgramRequest) -> bool:
        if self._max_bytes <= 0:
            return self._download(request)
        if self._copies and self._copies.link(request.sha256, request.target, request.verified):
            mark_as_used(self._entries.path_of(request.sha256))
            return True
        return self._take(request) or self._take_or_store(request)

    def _download(self, request: ProgramRequest) -> bool:
        """Download the program straight to its target; leave no file on failure."""
        try:
            self._downloader.download_requested(request)
            if not hold_verified(request.target, request.sha256, request.stopped, request.verified):
                raise DownloadFailed(CHANGED, request.url, Failure.HOST)
        except BaseException:
            request.target.unlink(missing_ok=True)
            raise
        return False

    def _take(self, request: ProgramRequest) -> bool:
        """Copy the entry to the target if it is unchanged; remove it if not. Return whether it was copied.

        This takes no lock: when the entry is evicted meanwhile, the open file can still be read.
        """
        # An entry that is larger than a program may be is not even hashed: `_store` downloads the program again, and
        # `check_size` fails the download if the limit was lowered since.
        entry = self._entries.path_of(request.sha256)
        with open_entry(entry) as source_fd:
            if source_fd is None or os.fstat(source_fd).st_size > self._rules.max_bytes:
                return False
            if self._copy(source_fd, request):
                mark_as_used(source_fd)
                return True
        logs.logger().warning("cache_corrupted", path=entry)
        if not try_to_remove(entry):
            shutil.rmtree(entry, ignore_errors=True)
        return False

    def _copy(self, source_fd: int, request: ProgramRequest) -> bool:
        """Copy an open file to the target; return whether the hash is right. There is no target if not."""
        given = source_fd, request.sha256, request.target, request.stopped, request.verified
        good = self._copies.make(*given) if self._copies else None
        return copy_verified(*given) if good is None else good

    def _take_or_store(self, request: ProgramRequest) -> bool:
        """Download the program, or take it from the cache when another request has just stored it.

        The lock makes each try the only one for the program on this host. Between two tries it is free: another request
        may have a URL that works. And requests that wait for one server spend the same minute waiting, each with tries
        of its own, instead of a minute each.

        A job of the same user could hold the lock for ever. So when the waits have lasted as long as a download may
        take, the download goes ahead without it.
        """
        shard = self.directory / request.sha256[:2]
        part = shard / f"{request.sha256}.{secrets.token_hex(8)}.part"
        go_ahead_at = time.monotonic() + self._rules.timeout_seconds
        with self._downloader.begin(request, part) as download:
            try:
                while True:
                    mend_own(self.directory)  # a job may have removed them, or closed them to us
                    mend_own(shard)
                    with _alone(shard / f"{request.sha256}.lock", request, go_ahead_at):
                        if self._take(request):
                            return True
                        if download.try_once():
                            self._store(request, part)
                            return False
                    download.pause()
            finally:
                try_to_remove(str(part))

    def _store(self, request: ProgramRequest, part: Path) -> None:
        """Copy a downloaded program to its target, and make an entry of it.

        The copy is made before the entry, because other workers may evict an entry at any time.
        """
        with open_entry(str(part)) as source_fd:
            if source_fd is None:  # a worker of an older version that has just started removed it
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(part))
            if not self._copy(source_fd, request):
                raise DownloadFailed(CHANGED, request.url, Failure.HOST)
        self._store_entry(part, request.sha256)

    def _store_entry(self, part: Path, sha256: str) -> None:
        """Make an entry of a downloaded file, unless it is too large. Raises nothing: the target is there already."""
        try:
            if part.stat().st_size <= self._max_bytes:
                part.replace(self._entries.path_of(sha256))
                self._entries.evict(self._max_bytes, sha256)
        except OSError as error:
            logs.logger().warning("cache_store_failed", path=self._entries.path_of(sha256), reason=str(error))


@contextmanager
def _alone(lock: Path, request: ProgramRequest, go_ahead_at: float) -> Iterator[None]:
    """Hold a lock in the context; go ahead without it at that moment (monotonic, seconds). Raises DownloadStopped."""
    while True:
        left = max(go_ahead_at - time.monotonic(), 0)
        with hold(lock, request.stopped, min(left, TICK_SECONDS)) as held:
            if request.stopped.is_set():
                raise DownloadStopped
            if held or not left:
                yield
                return
        request.wait(0)

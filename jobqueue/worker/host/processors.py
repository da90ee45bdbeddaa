"""How many processors this process may use: by its CPU affinity, and by the quotas of its control groups.

A quota is set at any level of the tree of groups, and holds for everything below. Containers and systemd set it at the
level of the container or the service, and limit nothing at the one that the process is in.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

MOUNT = re.compile(r"^\S+ \S+ \S+ (/\S*) (/\S*) .*- (cgroup2?) \S+ (\S+)$", re.MULTILINE)
"""A line of /proc/self/mountinfo: the part of the tree that is mounted, where, type and options."""

MEMBERSHIP = re.compile(r"^([0-9]+):([^:\n]*):(/.*)$", re.MULTILINE)
"""A line of /proc/self/cgroup: number, controllers and path of a group."""


def usable_processors(root: Path = Path("/")) -> int:
    """Return how many processors this process may use, at least 1. Files of the system are read below `root`."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = [math.ceil(quota) for group in _groups(root) for quota in _quotas(group)]
    return max(min([processors, *quotas]), 1)


@dataclass(frozen=True)
class _Mount:
    """A mounted tree of control groups: which part of the tree is seen, and where."""

    shown: PurePosixPath
    point: Path
    v2: bool


def _groups(root: Path) -> Iterator[Path]:
    """Yield the directory of each control group that this process is in: the innermost ones, and all around them."""
    for mount in _mounts(root):
        for group in _memberships(root, mount.v2):
            # Inside a container, /proc may name a group by its path on the host, while only the container's own part of
            # the tree is mounted. A path that does not lead into that part is of no use; the part itself then is the
            # best that there is.
            inner = group.relative_to(mount.shown) if group.is_relative_to(mount.shown) else PurePosixPath()
            directory = mount.point / inner if ".." not in inner.parts else mount.point
            yield from (directory, *directory.parents[: len(inner.parts)])


def _mounts(root: Path) -> Iterator[_Mount]:
    """Yield where the trees with quotas for processors are mounted, as proc_pid_mountinfo(5) describes it."""
    for shown, point, kind, options in MOUNT.findall(_text(root / "proc/self/mountinfo")):
        v2 = kind == "cgroup2"
        if v2 or "cpu" in options.split(","):
            yield _Mount(PurePosixPath(_unescaped(shown)), root / _unescaped(point).lstrip("/"), v2)


def _memberships(root: Path, v2: bool) -> Iterator[PurePosixPath]:
    """Yield the path of the group that this process is in, as cgroups(7) describes it: `number:controllers:path`."""
    for number, controllers, path in MEMBERSHIP.findall(_text(root / "proc/self/cgroup")):
        if (number == "0" and not controllers) if v2 else "cpu" in controllers.split(","):
            yield PurePosixPath(path)


def _quotas(group: Path) -> Iterator[float]:
    """Yield the quota of a group in processors; nothing when it has none."""
    with suppress(OSError, ValueError, ZeroDivisionError):
        quota, period = (group / "cpu.max").read_text().split()
        yield int(quota) / int(period)  # "max" when there is no quota
    with suppress(OSError, ValueError, ZeroDivisionError):
        quota, period = (group / "cpu.cfs_quota_us").read_text(), (group / "cpu.cfs_period_us").read_text()
        if int(quota) > 0:  # -1 when there is no quota
            yield int(quota) / int(period)


def _text(path: Path) -> str:
    """Return the text of a file; "" when it cannot be read."""
    with suppress(OSError):
        return path.read_text(errors="surrogateescape")
    return ""


def _unescaped(field: str) -> str:
    r"""Return a path from mountinfo, in which blanks and backslashes are written like `\040`."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)

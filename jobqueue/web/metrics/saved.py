"""The counts in one file of a directory, which outlives the server."""

from __future__ import annotations

import json
import math
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from jobqueue import logs

NAME = "jobqueue-http.json"
MAX_BYTES = 4 * 1024 * 1024
"""A larger file is not one of ours."""


class SavedCounts:
    """The file with the counts. The server works as well without it: whatever is wrong with it is only logged."""

    def __init__(self, directory: str) -> None:
        self._path = Path(directory) / NAME
        self._failing = False
        self._damage = ""

    def load(self) -> dict[str, float]:
        """Return the counts that were saved last. Without a file, or with one that is damaged, there are none."""
        for unfinished in self._path.parent.glob(f"{NAME}.new-*"):
            with suppress(OSError):
                unfinished.unlink()  # its process was killed while it wrote
        try:
            with self._path.open("rb") as file:
                counts = json.loads(file.read(MAX_BYTES))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, RecursionError) as error:
            self._damage = str(error)  # logged later: the master does not log
            return {}
        named = counts.items() if isinstance(counts, dict) else ()
        return {name: number for name, number in named if _is_count(name, number)}

    def save(self, counts: dict[str, float]) -> None:
        """Replace the file. The directory is made again if somebody removed it."""
        if self._damage:
            logs.logger().warning("metrics_not_loaded", reason=self._damage)
            self._damage = ""
        try:
            self._replace(json.dumps(counts).encode())
        except OSError as error:
            if not self._failing:
                logs.logger().warning("metrics_not_saved", reason=error.strerror)
            self._failing = True
        else:
            if self._failing:
                logs.logger().info("metrics_saved")
            self._failing = False

    def _replace(self, content: bytes) -> None:
        """Write a new file and rename it, so that nobody reads half of it and a full disk does not destroy the last."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        new = self._path.with_name(f"{NAME}.new-{os.getpid()}")
        with suppress(FileNotFoundError):
            new.unlink()  # from a process that was killed here and had this id
        try:
            # Nothing that stands in its place is followed or overwritten.
            with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644), "wb") as file:
                file.write(content)
            new.replace(self._path)
        except OSError:
            with suppress(OSError):
                new.unlink()
            raise


def _is_count(name: str, number: Any) -> bool:
    """Return whether this is a number that `values.name_of` could have named."""
    try:
        family, sample, labels = json.loads(name)
        texts = [family, sample, *labels.values()]
        float(labels.get("le", "0"))
        return all(isinstance(text, str) for text in texts) and math.isfinite(number) and number >= 0
    except (ValueError, TypeError, AttributeError, RecursionError):
        return False

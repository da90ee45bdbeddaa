"""The numbers inside prometheus_client's metrics, kept in shared memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from prometheus_client.values import MutexValue

from jobqueue.web.metrics.processes import Counts

SHARED_TYPES = ("counter", "histogram")
"""The types of metrics whose numbers can be added up over all processes."""


def name_of(family: str, sample: str, labels: dict[str, str]) -> str:
    """Return the name of a number in shared memory: its metric, its sample and its labels."""
    return json.dumps([family, sample, labels], separators=(",", ":"))


class SharedNumber:
    """A number of a counter or of a histogram, with the methods of `prometheus_client.values.MutexValue`."""

    def __init__(self, counts: Counts, name: str) -> None:
        self._counts, self._name = counts, name
        counts.add(name, 0)  # shown from now on, as prometheus_client shows it

    @staticmethod
    def maker(counts: Counts) -> Callable[..., Any]:
        """Return what prometheus_client calls to make a number of a metric."""

        def make(type_: str, family: str, sample: str, names: Sequence[str], *more: Any, **_: Any) -> Any:
            if type_ not in SHARED_TYPES:
                return MutexValue(type_, family, sample, names, *more)
            return SharedNumber(counts, name_of(family, sample, dict(zip(names, more[0], strict=True))))

        return make

    def inc(self, amount: float) -> None:
        """Add to the number."""
        self._counts.add(self._name, amount)

    def get(self) -> float:
        """Return what this process, and those before it in the same region, counted."""
        return self._counts.get(self._name)

    def set(self, value: float, timestamp: float | None = None) -> None:  # noqa: ARG002  # prometheus_client passes it
        """Set the number."""
        self.inc(value - self.get())

    def set_exemplar(self, exemplar: object) -> None:
        """Do nothing: exemplars are not shown."""

    def get_exemplar(self) -> None:
        """Return that there is none."""
        return

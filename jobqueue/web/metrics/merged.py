"""The metrics of all processes together."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from jobqueue.web.metrics.processes import Counts
from jobqueue.web.metrics.values import SHARED_TYPES

Labels = tuple[tuple[str, str], ...]


class MergedMetrics(Collector):
    """The metrics of a registry, with the numbers of all processes. Gauges are those of this process."""

    def __init__(self, registry: CollectorRegistry, counts: Counts) -> None:
        self._registry, self._counts = registry, counts

    def collect(self) -> Iterator[Metric]:
        """Yield every metric."""
        samples: dict[str, list[tuple[str, dict[str, str], float]]] = defaultdict(list)
        for name, number in self._counts.total().items():
            family, sample, labels = json.loads(name)
            samples[family].append((sample, labels, number))
        for metric in self._registry.collect():
            if metric.type not in SHARED_TYPES:
                yield metric
                continue
            merged = Metric(metric.name, metric.documentation, metric.type)
            for sample in _shown(metric, samples[metric.name]):
                merged.add_sample(*sample)
            yield merged


def _shown(metric: Metric, samples: list[Any]) -> Iterator[tuple[str, dict[str, str], float]]:
    """Yield the samples of a metric. The buckets of a histogram are counted apart, but shown as sums."""
    buckets: dict[Labels, dict[float, float]] = defaultdict(dict)
    for name, labels, number in samples:
        if "le" not in labels:
            yield name, labels, number
            continue
        others = tuple((label, value) for label, value in labels.items() if label != "le")
        buckets[others][float(labels["le"])] = number
    for others, numbers in buckets.items():
        total = 0.0
        for bound, number in sorted(numbers.items()):
            total += number
            yield f"{metric.name}_bucket", {**dict(others), "le": floatToGoString(bound)}, total
        yield f"{metric.name}_count", dict(others), total

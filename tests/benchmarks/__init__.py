"""Tests of the parts of the benchmarks that compute and draw; what they measure is not tested."""

"""The command: `python -m benchmarks [ROW …]` measures and prints the table.

Rows are named by their groups. Without any, all are measured, which takes about a quarter of an hour.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from benchmarks import results, table
from benchmarks.clients.in_process import without_logs
from benchmarks.outcome import Effort, Group, Outcome
from benchmarks.peers import environments
from benchmarks.peers.catalogue import PEERS
from benchmarks.results import Measured
from benchmarks.rig import machine
from benchmarks.rig.store import DURABILITY
from benchmarks.rows import NAMES, WITH_PEERS, measure_of

USUAL_PEERS = ("dramatiq", "celery")


def main(arguments: Sequence[str]) -> int:
    """Measure and print. Return 1 if something could not be measured, whether bounds hold or not."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that all processes are stopped
    peers = _peers(options.peers)
    described = f"{machine.describe()}; {DURABILITY}"
    _say(described)
    for key in peers:
        _say(f"{PEERS[key].name}: {', '.join(PEERS[key].requirements)}; {PEERS[key].promises}")
    measured, failed = {}, False
    with without_logs():
        for name in options.rows or NAMES:
            effort = Effort(options.short, peers if name in WITH_PEERS else (), _say)
            measured[name], went_wrong = _measure(name, effort, described)
            failed = failed or went_wrong
    print(table.as_text([outcome for each in measured.values() for outcome in each.group.outcomes]))
    for each in measured.values():
        print(*(f"- {note}" for note in each.group.notes), sep="\n", end="\n" if each.group.notes else "")
    print(*results.circumstances(measured), sep="\n")
    if options.write:
        results.write(measured)
    return int(failed)


def _measure(name: str, effort: Effort, described: str) -> tuple[Measured, bool]:
    """Measure a group; return it, and whether that failed. A failure is a row of the table, so others go on."""
    _say(f"-- {name}")
    neighbours, began_at, failed = machine.Neighbours(), time.monotonic(), False
    with tempfile.TemporaryDirectory(prefix="jobqueue-bench-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)  # programs may run as other users
        try:
            group = measure_of(name)(effort, Path(folder))
        except Exception as error:  # noqa: BLE001  # whatever it is, it is shown, and the other groups are measured
            traceback.print_exc()
            failed = True
            group = Group([Outcome(name, "failed", "", None, f"{type(error).__name__}: {error}")])
    share = neighbours.share()
    _say(f"   {time.monotonic() - began_at:.0f} s; other processes used {share:.2f} cores meanwhile")
    return Measured(group, time.strftime("%Y-%m-%d"), described + _versions(effort.peers), round(share, 2)), failed


def _versions(peers: Sequence[str]) -> str:
    names = [requirement for key in peers for requirement in PEERS[key].requirements[:1]]
    return f"; {', '.join(names)}" if names else ""


def _peers(chosen: str) -> list[str]:
    """Return the keys of the peers to compare with. Those that are not installed are left out, with a sentence."""
    keys = [*PEERS] if chosen == "all" else [key for key in chosen.split(",") if key and key != "none"]
    for key in keys:
        if not environments.is_installed(key):
            _say(f"{PEERS[key].name} is left out: it is not installed. `make bench-peers` does that.")
    return [key for key in keys if environments.is_installed(key)]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("rows", nargs="*", metavar="ROW", choices=[*NAMES, []], help=f"one of {', '.join(NAMES)}")
    parser.add_argument("--short", action="store_true", help="only try that the rows can be measured")
    parser.add_argument("--write", action="store_true", help="write results.json, README.md and chart.svg as well")
    parser.add_argument(
        "--peers", default=",".join(USUAL_PEERS), help=f"all, none, or some of {', '.join(PEERS)}; %(default)s"
    )
    return parser


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

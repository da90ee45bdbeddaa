"""All messages between a worker and its supervisors, and how each becomes a line of JSON.

The worker sends `Launch`, `LeaseEnd` and `Stop`. For each launch the supervisor sends `Live` while there is new output,
and `Outcome` at the end. To add a message, write its class and put it into `Message`.
"""

from __future__ import annotations

import json
import signal
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import get_args

from jobqueue.job import Measured
from jobqueue.worker.failures import Failure
from jobqueue.worker.supervisor.output_file import Outputs


@dataclass(frozen=True)
class LeaseEnd:
    """The lease of the program's job ends: SIGTERM at `terminate_at`, SIGKILL at `kill_at` (`clock.since_boot`).

    It comes with the launch, and again whenever the lease has been renewed. The latest one counts.
    """

    terminate_at: float
    kill_at: float


@dataclass(frozen=True)
class Launch:
    """Start a program: the path of its file, its arguments, its whole environment, the directory to start it in.

    After `timeout_seconds` (None: never) the program receives SIGTERM. If it has not ended `kill_grace_seconds` later,
    it is killed. A program without a `lease_end` may run for as long as it likes without its worker. `program_number`
    are the device and the number of the file that was verified: no other one is started.
    """

    program: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    directory: str
    timeout_seconds: float | None = None
    kill_grace_seconds: float = 10.0
    lease_end: LeaseEnd | None = None
    program_number: Sequence[int] | None = None


@dataclass(frozen=True)
class Stop:
    """End the program that runs: SIGTERM now, SIGKILL after `grace_seconds`. Without a grace it is killed at once."""

    grace_seconds: float


@dataclass(frozen=True)
class Live:
    """New output: the name of the stream, where the text begins in it (in bytes of UTF-8), and the text."""

    stream: str
    offset: int
    text: str


@dataclass(frozen=True)
class Outcome:
    """How a launch ended: with an exit code (128 + n when signal n killed the program), or with a failure to start.

    stopped: the worker or the end of the lease stopped the program, which had not ended before.
    lease_over: no renewal of the lease came in time. The program was stopped, or not even started.
    timed_out: the program reached its time limit.
    start_failure: why the program could not be started; None when it was started.
    failure: the cause of that; None when the program was started.
    supervisor_terminated: the supervisor received SIGTERM too, so somebody sends it to every process.
    oom_killed: the kernel killed the program because memory ran out.
    measured: how the run went.
    outputs: what the program wrote; None when it never ran. The descriptor of long outputs travels beside the message.
    """

    exit_code: int | None = None
    stopped: bool = False
    lease_over: bool = False
    timed_out: bool = False
    start_failure: str | None = None
    failure: Failure | None = None
    supervisor_terminated: bool = False
    oom_killed: bool = False
    measured: Measured = field(default_factory=Measured)
    outputs: Outputs | None = field(default=None, compare=False)

    @property
    def host_fault(self) -> bool:
        """Whether the start failed because of this machine, so that another one may run the program."""
        return self.failure is not None and not self.failure.final

    @property
    def stdout(self) -> str:
        """What the program wrote to standard output: the beginning and the end of it when that is a lot."""
        return self.outputs.read()["stdout"] if self.outputs else ""

    @property
    def stderr(self) -> str:
        """What the program wrote to standard error: the beginning and the end of it when that is a lot."""
        return self.outputs.read()["stderr"] if self.outputs else ""


Message = Launch | LeaseEnd | Stop | Live | Outcome
_CLASSES: Mapping[str, type[Message]] = {each.__name__: each for each in get_args(Message)}


def encode(message: Message) -> tuple[bytes, list[int]]:
    """Return a message as one line of JSON, and the descriptors that have to be sent with it."""
    # Characters stay as they are: escaped, every U+FFFD of binary output would take six bytes instead of three. A lone
    # surrogate in an argument of a job passes through unchanged, and the start of the program fails because of it.
    line = _ENCODER.encode({type(message).__name__: vars(message)})
    outputs = message.outputs if isinstance(message, Outcome) else None
    return line.encode(errors="surrogatepass") + b"\n", [outputs.fd] if outputs and not outputs.short else []


def decode(line: bytes, descriptors: deque[int]) -> Message:
    """Return the message in a line. A message that was sent with a descriptor takes the oldest of `descriptors`."""
    ((name, fields),) = json.loads(line).items()
    if name == Launch.__name__ and fields["lease_end"]:
        fields["lease_end"] = LeaseEnd(**fields["lease_end"])
    if name == Outcome.__name__:
        fields["measured"] = Measured(**fields["measured"])
        fields["outputs"] = _outputs(fields["outputs"], descriptors)
        fields["failure"] = Failure[fields["failure"]] if fields["failure"] else None
    return _CLASSES[name](**fields)


def _plain(value: object) -> object:
    """Return what stands in the JSON for a field that JSON has no type for."""
    if isinstance(value, Failure):
        return value.name
    return value.short if isinstance(value, Outputs) else vars(value)


_ENCODER = json.JSONEncoder(ensure_ascii=False, default=_plain)


def _outputs(short: str | None, descriptors: deque[int]) -> Outputs | None:
    """Return the outputs that a message has: None, short ones, or "" for those of the oldest descriptor."""
    if short is None:
        return None
    return Outputs(short=short) if short else Outputs(descriptors.popleft())


def signal_name(number: int) -> str:
    """Return a signal's name: `SIGKILL`, `SIGRTMIN+3` (or `SIGRTMIN-2` for a signal that the C library reserves)."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIGRTMIN{number - signal.SIGRTMIN:+d}"

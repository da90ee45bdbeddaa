"""Every message between worker and supervisor arrives as it was sent."""

from __future__ import annotations

import os
from collections import deque
from typing import get_args

import pytest

from jobqueue.job import Measured
from jobqueue.worker.failures import Failure
from jobqueue.worker.supervisor.messages import Launch, LeaseEnd, Live, Message, Outcome, Stop, decode, encode
from jobqueue.worker.supervisor.output_file import Outputs

MESSAGES: list[Message] = [
    Launch("/program", ["", "two words", 'q"\n\0', "ü€🎉", "\ud800"], {"KEY": "a=b\nc"}, "/work", 1.5, 0.25),
    Launch("/program", [], {}, "/work", lease_end=LeaseEnd(1234.5, 1240.25)),
    LeaseEnd(1234.5, 1240.25),
    Stop(2.5),
    Live("stdout", 3, 'text\n"\u2028\0�€🎉'),
    Outcome(0, measured=Measured(stdout_bytes=3, user_cpu_seconds=0.125)),
    Outcome(start_failure="could not be started: reason", failure=Failure.HOST),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_is_one_line_and_arrives_as_it_was_sent(message: Message) -> None:
    line, descriptors = encode(message)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert descriptors == []
    assert decode(line, deque()) == message


def test_every_kind_of_message_is_tried() -> None:
    assert {type(message) for message in MESSAGES} == set(get_args(Message))


def test_an_outcome_takes_its_outputs_from_the_oldest_descriptor() -> None:
    texts = {"stdout": "out", "stderr": "err"}
    with_outputs = Outcome(7, outputs=Outputs.write(texts))
    line, descriptors = encode(with_outputs)
    later = Outputs.write({"stdout": "later", "stderr": ""})
    received = deque(os.dup(fd) for fd in (*descriptors, later.fd))
    outcome = decode(line, received)
    assert outcome == with_outputs
    assert isinstance(outcome, Outcome)
    assert (outcome.stdout, outcome.stderr) == ("out", "err")
    assert len(received) == 1
    os.close(received[0])

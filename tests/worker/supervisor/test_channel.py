"""A channel carries whole messages and their descriptors, however the bytes arrive."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from jobqueue.worker.supervisor.channel import Channel, ChannelClosed
from jobqueue.worker.supervisor.messages import Live, Message, Outcome, Stop, encode
from jobqueue.worker.supervisor.output_file import Outputs
from tests.support.processes import file_descriptors


@pytest.fixture
def sockets() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = socket.socketpair()
    with one, other:
        yield one, other


@pytest.fixture
def channels(sockets: tuple[socket.socket, socket.socket]) -> Iterator[tuple[Channel, Channel]]:
    with closing(Channel(sockets[0])) as one, closing(Channel(sockets[1])) as other:
        yield one, other


def next_message(channel: Channel) -> Message:
    while not channel.inbox:
        channel.receive()
    return channel.inbox.popleft()


def test_messages_arrive_in_order(channels: tuple[Channel, Channel]) -> None:
    sent: list[Message] = [Stop(0), Live("stdout", 0, "ü"), Stop(1.5)]
    for message in sent:
        channels[0].send(message)
    assert [next_message(channels[1]) for _ in sent] == sent


def test_a_message_that_arrives_byte_by_byte_is_put_together(
    sockets: tuple[socket.socket, socket.socket], channels: tuple[Channel, Channel]
) -> None:
    for byte in encode(Live("stderr", 7, "€"))[0]:
        assert not channels[1].inbox
        sockets[0].sendall(bytes([byte]))
        channels[1].receive()
    assert list(channels[1].inbox) == [Live("stderr", 7, "€")]


def test_every_outcome_gets_its_own_outputs(channels: tuple[Channel, Channel]) -> None:
    sent = [Outcome(number, outputs=Outputs.write({"stdout": str(number), "stderr": ""})) for number in range(3)]
    for outcome in (sent[0], Outcome(start_failure="none"), *sent[1:]):
        channels[0].send(outcome)
    received = [next_message(channels[1]) for _ in range(4)]
    assert [each.stdout for each in received if isinstance(each, Outcome)] == ["0", "", "1", "2"]


def test_a_line_without_room_is_sent_in_parts(channels: tuple[Channel, Channel]) -> None:
    line = encode(Live("stdout", 0, "x" * 2_000_000))[0]
    rest = memoryview(line)
    parts = 0
    while left := channels[0].try_to_send(rest):
        parts += len(left) < len(rest)
        channels[1].receive()
        rest = left
    assert parts > 1
    assert next_message(channels[1]) == Live("stdout", 0, "x" * 2_000_000)


@pytest.mark.parametrize("end", [Channel.close, Channel.hang_up])
def test_the_end_of_the_other_side_is_noticed_after_what_it_sent(
    channels: tuple[Channel, Channel], end: object
) -> None:
    assert callable(end)
    channels[0].send(Stop(1.5))
    end(channels[0])
    channels[1].receive()
    assert list(channels[1].inbox) == [Stop(1.5)]
    with pytest.raises(ChannelClosed):
        channels[1].receive()
    with pytest.raises(ConnectionError):
        channels[1].send(Stop(0))


def test_a_closed_channel_receives_nothing(channels: tuple[Channel, Channel]) -> None:
    channels[0].close()
    with pytest.raises(ChannelClosed):
        channels[0].receive()
    assert channels[0].fileno() == -1


def test_a_closed_channel_keeps_no_descriptor_open(sockets: tuple[socket.socket, socket.socket]) -> None:
    """The descriptor has arrived, the line that it belongs to has not arrived completely."""
    line, descriptors = encode(Outcome(0, outputs=(outputs := Outputs.write({}))))
    before = file_descriptors(os.getpid())
    socket.send_fds(sockets[0], [line[:10]], descriptors)
    channel = Channel(sockets[1])
    channel.receive()
    assert file_descriptors(os.getpid()) == before + 1
    channel.close()
    assert file_descriptors(os.getpid()) == before - 1  # the socket is closed, too
    outputs.close()

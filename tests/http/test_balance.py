"""Connections are spread over the workers that accept from one socket."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from server.http.balance import Balance, Share


class Connections:
    """New connections, and their clients."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def __call__(self) -> tuple[socket.socket, socket.socket]:
        client, connection = socket.socketpair()
        self._stack.enter_context(client)
        self._stack.callback(connection.close)
        return client, connection


@pytest.fixture
def connect() -> Iterator[Connections]:
    with ExitStack() as stack:
        yield Connections(stack)


@pytest.fixture
def balance() -> Iterator[Balance]:
    made = Balance(3)
    yield made
    made.close()


def accept(share: Share, connect: Connections) -> bool:
    """Whether the worker that accepts a connection keeps it."""
    if share.hand_over(connect()[1]):
        return False
    share.change(1)
    return True


def take_all(share: Share) -> int:
    taken = 0
    while (connection := share.take()) is not None:
        connection.close()
        share.change(1)
        taken += 1
    return taken


def test_a_worker_that_accepts_all_keeps_its_part(balance: Balance, connect: Connections) -> None:
    shares = [Share(balance, number) for number in range(3)]
    kept, taken = 0, [0, 0, 0]
    for _ in range(60):
        kept += accept(shares[0], connect)
        taken = [have + take_all(share) for have, share in zip(taken, shares, strict=True)]
    assert kept + sum(taken) == 60
    assert max(kept, *taken[1:]) - min(kept, *taken[1:]) <= 3
    assert taken[0] == 0


def test_a_connection_arrives_whole(balance: Balance, connect: Connections) -> None:
    one, other = Share(balance, 0), Share(balance, 1)
    one.change(5)
    client, connection = connect()
    client.sendall(b"GET")
    assert one.hand_over(connection)
    taken = other.take()
    assert taken is not None
    with taken:
        assert taken.recv(10) == b"GET"
        taken.sendall(b"200")
    assert client.recv(10) == b"200"
    assert client.recv(10) == b""


def test_a_worker_that_takes_nothing_gets_a_few_only_and_its_successor_has_them(
    balance: Balance, connect: Connections
) -> None:
    one, _stopped = Share(balance, 0), Share(balance, 1)
    for _ in range(200):
        accept(one, connect)
    successor = Share(balance, 1)
    waiting = take_all(successor)
    assert 0 < waiting < 40
    # And it gets more, as long as it has fewer.
    assert not accept(one, connect)


def test_what_a_dead_worker_has_not_taken_goes_to_another_one(balance: Balance, connect: Connections) -> None:
    """Its successor may come late, for example after a pause because workers crash."""
    one, other = Share(balance, 0), Share(balance, 1)
    for _ in range(20):
        accept(one, connect)
    balance.bury(1)
    assert take_all(other) == 0
    handed = take_all(one)
    assert handed > 0
    # The successor has an inbox that is empty, and gets its part again.
    successor = Share(balance, 1)
    assert take_all(successor) == 0
    assert not accept(one, connect)
    assert take_all(successor) == 1


def test_without_another_worker_they_wait_for_the_successor(balance: Balance, connect: Connections) -> None:
    one, _dead = Share(balance, 0), Share(balance, 1)
    for _ in range(20):
        accept(one, connect)
    balance.bury(0)
    balance.bury(1)
    assert take_all(Share(balance, 1)) > 0


def test_a_successor_does_not_count_what_another_process_has_put(balance: Balance, connect: Connections) -> None:
    first, other = Share(balance, 0), Share(balance, 1)
    for _ in range(20):
        accept(first, connect)
    assert take_all(other) > 1
    again = Share(balance, 0)
    again.change(20)
    assert not accept(again, connect)
    assert take_all(other) == 1


def test_who_leaves_is_given_nothing_and_keeps_nothing_while_others_are_there(
    balance: Balance, connect: Connections
) -> None:
    one, other = Share(balance, 0), Share(balance, 1)
    one.change(50)
    other.leave()
    assert accept(one, connect)
    other.change(-1)
    assert accept(one, connect)
    back = Share(balance, 1)
    one.leave()
    assert not accept(one, connect)
    back.leave()
    # All of them end: whoever accepts answers.
    assert accept(one, connect)
    assert accept(back, connect)


def test_one_worker_alone_keeps_all(connect: Connections) -> None:
    balance = Balance(1)
    share = Share(balance, 0)
    assert all(accept(share, connect) for _ in range(10))
    balance.close()

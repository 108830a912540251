from __future__ import annotations

import os

from tests.bench.comparison import USER, VERIFY, Comparison, Target, cpu_us, per_second
from tests.bench.cores import Cores
from tests.bench.load import Client, get, in_turn
from tests.bench.peers.starting import NODE_FOLDER, PEERS
from tests.bench.plain import plain_server
from tests.bench.workers import Served
from tests.environment import ROOT


def test_servers_are_measured_in_turn_and_compared_round_by_round() -> None:
    cores = os.sched_getaffinity(0)
    comparison = Comparison(Cores.of_this_machine())
    with plain_server("bare") as bare, plain_server("floor") as floor:
        targets = []
        for name, (address, pid), path, status in (("bare", bare, "/", 200), ("floor", floor, "/verify", 204)):
            client = Client(address, pid, [in_turn([get(path, "token")])], status)
            targets.append(Target(name, VERIFY, Served([pid], client, beside_client=False)))
        comparison.play(targets, rounds=2, seconds=0.01)
    for target in targets:
        assert len(target.per_second) == len(target.served.cpu_us) == 2
        assert target.cost.per_second > 0
        # No handler of Python answers in a microsecond.
        assert target.cost.cpu_us > 1
    ratio = comparison.ratio(VERIFY, "floor", "bare", cpu_us)
    assert ratio is not None
    assert 0.1 < ratio < 10
    assert comparison.ratio(VERIFY, "floor", "a peer that is missing", per_second) is None
    assert comparison.cost("bare", USER) is None
    assert os.sched_getaffinity(0) == cores


def test_every_peer_has_its_application() -> None:
    for peer in PEERS:
        path = ROOT / f"{peer.module.replace('.', '/')}.py" if peer.module else NODE_FOLDER / peer.script[0]
        assert path.is_file(), peer

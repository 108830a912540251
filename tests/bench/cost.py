"""What one checked request costs, beside the floor (floor.py) and a bare handler (bare.py), in the same run.

All are processes on uvloop; Watchword writes its log, a line for each request, to a file in JSON. In every round each
answers as many requests as the others. The cost is the CPU time of the process, of all its threads, for a request; of
several rounds the least counts, since whatever else the machine does can only add to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table

from tests.bench.load import Client, Rate, get, in_turn
from tests.process.server_process import ServerProcess

Server = tuple[str, int]


@dataclass
class Peer:
    """One server under one kind of request."""

    name: str
    client: Client
    rates: list[Rate] = field(default_factory=list)

    @property
    def cpu_us(self) -> float:
        return min(1e6 / rate.per_core for rate in self.rates)

    @property
    def per_second(self) -> float:
        return max(rate.per_second for rate in self.rates)


async def cost(servers: Mapping[str, ServerProcess], floor: Server, bare: Server, rounds: int, total: int) -> None:
    """Of the routes that issues and docs speak of: one that touches no store, and one that reads a user.

    `servers` are ours, with different settings.
    """
    tokens, ids = {}, {}
    for name, server in servers.items():
        tokens[name] = server.log_in("admin", server.admin_password())["token"]
        ids[name] = server.call("GET", "/me", token=tokens[name])[1]["user"]["id"]
    token, me = next(iter(tokens.values())), next(iter(ids.values()))
    table = Table("a checked request", "CPU µs", "of the floor", "of bare", "requests / s", box=None, pad_edge=False)
    for title, path, status in (("/verify", "/verify", 204), ("/users/{id}", "/users/{}", 200)):
        peers = [
            Peer("bare handler", Client(*bare, [in_turn([get("/", token)])], 200)),
            Peer("floor", Client(*floor, [in_turn([get(path.format(me), token)])], status)),
        ]
        for name, server in servers.items():
            requests = [in_turn([get(path.format(ids[name]), tokens[name])])]
            peers.append(Peer(name, Client(server.address, server.process.pid, requests, status)))
        for peer in peers:
            await peer.client.open()
            await peer.client.measure(total)
        for _ in range(rounds):
            for peer in peers:
                peer.rates.append(await peer.client.measure(total))
        for peer in peers:
            peer.client.close()
            table.add_row(
                f"GET {title}, {peer.name}",
                f"{peer.cpu_us:.1f}",
                f"{peer.cpu_us / peers[1].cpu_us:.2f}",
                f"{peer.cpu_us / peers[0].cpu_us:.2f}",
                f"{peer.per_second:,.0f}",
            )
    Console(soft_wrap=True).print(table)
    print(flush=True)

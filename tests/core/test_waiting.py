from __future__ import annotations

import asyncio

from server.core.waiting import in_a_task


async def test_without_a_task_a_coroutine_stops_before_it_waits() -> None:
    async def work() -> str:
        await in_a_task()
        return "done"

    assert await work() == "done"
    coroutine = work()
    stopped: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def run() -> None:
        try:
            coroutine.send(None)
        except StopIteration:
            stopped.set_result(False)
        else:
            stopped.set_result(True)

    asyncio.get_running_loop().call_soon(run)
    assert await stopped
    coroutine.close()

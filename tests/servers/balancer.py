"""What operations put before a cluster: one address that leads to the active node, as its health tells."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.fakes.peer import listening
from tests.servers.cluster import ACTIVE, STANDBY, Cluster


class Balancer:
    """Forwards each connection to the node that is active when it comes, else to a standby, else drops it."""

    def __init__(self, cluster: Cluster) -> None:
        self.port = 0
        self._cluster = cluster
        self._up = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._thread.start()
        self._up.wait()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()

    async def _run(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        self._open: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[None]] = set()
        async with listening(self._serve) as self.port:
            self._up.set()
            await self._end.wait()
            for writer in self._open:
                writer.transport.abort()
            await asyncio.gather(*self._serving)

    async def _choose(self) -> int | None:
        nodes = [node for node in self._cluster.nodes if node.is_running]
        health = await asyncio.gather(*(asyncio.to_thread(node.health) for node in nodes))
        ports = {state: node.port for node, state in zip(nodes, health, strict=True)}
        return ports.get(ACTIVE, ports.get(STANDBY))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        self._serving.add(task := asyncio.current_task())
        try:
            if (port := await self._choose()) is not None and not self._end.is_set():
                there, back = await asyncio.open_connection("127.0.0.1", port)
                self._open.add(back)
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._pass(reader, back))
                    group.create_task(self._pass(there, writer))
                self._open.discard(back)
        except OSError:
            pass
        finally:
            writer.close()
            self._open.discard(writer)
            self._serving.discard(task)

    @staticmethod
    async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while part := await reader.read(65536):
                writer.write(part)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()


@contextmanager
def balancer(cluster: Cluster) -> Iterator[Balancer]:
    """Run one before `cluster` while the context lasts."""
    one = Balancer(cluster)
    one.start()
    try:
        yield one
    finally:
        one.stop()

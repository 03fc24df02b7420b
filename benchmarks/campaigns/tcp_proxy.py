"""A TCP proxy on the loopback that misbehaves on demand: late, cut, half-open, talking nonsense.

Runs in a thread of its own. Knows bytes and connections; knows no protocol.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Coroutine
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

CHUNK = 65536


class Connection:
    """One connection through the proxy, which can go dead: open, and carrying nothing. Lives in the proxy's loop."""

    def __init__(self, proxy: Proxy, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.client, self.server = client, server
        self.dead = False
        self.asked_at: float | None = None  # when the client first sent something into the dead connection
        self._proxy = proxy

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one direction until it ends or breaks; of a dead connection's server nobody hears."""
        with suppress(OSError, asyncio.CancelledError):
            while data := await reader.read(CHUNK):
                if self.dead:
                    if writer is self.server:
                        self.asked_at = self.asked_at or time.monotonic()
                    continue
                if self._proxy.delay:
                    await asyncio.sleep(self._proxy.delay)
                writer.write(data)
                await writer.drain()
        if not self.dead or writer is self.server:
            self.close()

    def close(self) -> None:
        """End both directions."""
        for writer in (self.client, self.server):
            with suppress(OSError, RuntimeError):
                writer.close()


class Proxy:
    """From a port of its own to one of a server. `delay` (seconds) is added to whatever goes through."""

    def __init__(self, target: int) -> None:
        self.port = 0
        self.delay = 0.0
        self._target = target
        self._connections: set[Connection] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        server = self._call(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cut()
        self._call(asyncio.sleep(0.1))  # for what the cut woke
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def cut(self) -> int:
        """Close every connection; how many there were."""
        return int(self._call(self._cut()))

    def freeze(self) -> int:
        """Carry nothing on the connections there are now, and keep them open; new ones work. How many there were."""
        return int(self._call(self._freeze()))

    def silent_for(self) -> float:
        """Seconds for which the client has waited longest for an answer on a dead connection; 0.0 when it waits for
        none, because it gave up all that it used.
        """
        return float(self._call(self._silent_for()))

    def garble(self, chance: random.Random) -> int:
        """Put random bytes into every connection, towards the client or the server; how many there were."""
        return int(self._call(self._garble(chance)))

    def _call(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _serve(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        try:
            back, server = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            client.close()
            return
        connection = Connection(self, client, server)
        self._connections.add(connection)
        try:
            await asyncio.gather(connection.carry(reader, server), connection.carry(back, client))
        finally:
            self._connections.discard(connection)

    async def _cut(self) -> int:
        connections = list(self._connections)
        for connection in connections:
            connection.close()
        return len(connections)

    async def _freeze(self) -> int:
        for connection in self._connections:
            connection.dead = True
            connection.asked_at = None
        return len(self._connections)

    async def _silent_for(self) -> float:
        now = time.monotonic()
        asked = [one.asked_at for one in self._connections if one.dead and one.asked_at is not None]
        return max((now - began for began in asked), default=0.0)

    async def _garble(self, chance: random.Random) -> int:
        connections = list(self._connections)
        for connection in connections:
            with suppress(OSError, RuntimeError):
                chance.choice((connection.client, connection.server)).write(chance.randbytes(64))
        return len(connections)

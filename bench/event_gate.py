"""A way to an engine, a socket beside its own, on which the stream of events alone can be cut or frozen."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

CHUNK = 65_536


class Stream(StrEnum):
    """What becomes of the stream of events; whatever else is asked always passes."""

    HEARD = "heard"
    FROZEN = "frozen"  # it stays open, and nothing comes through any more
    CUT = "cut"  # it ends, and can't be opened again


class EventGate:
    """Listens at `url` for an engine's clients until the block ends; starts with `heard`."""

    def __init__(self, engine_url: str, path: Path) -> None:
        self.url = f"unix://{path}"
        self._engine, self._path = engine_url.removeprefix("unix://"), path
        self._stream = Stream.HEARD
        self._followers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._over = asyncio.Event()

    def turn(self, stream: Stream) -> None:
        """From now on, and for who follows already."""
        self._loop.call_soon_threadsafe(self._turn, stream)

    @contextmanager
    def running(self) -> Iterator[EventGate]:
        opened = threading.Event()
        thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(opened),))
        thread.start()
        opened.wait()
        try:
            yield self
        finally:
            self._loop.call_soon_threadsafe(self._over.set)
            thread.join()
            self._loop.close()

    @property
    def is_followed(self) -> bool:
        """Whether somebody hears the stream."""
        return self._stream is Stream.HEARD and bool(self._followers)

    def _turn(self, stream: Stream) -> None:
        before, self._stream = self._stream, stream
        if stream not in (before, Stream.FROZEN):
            for writer in self._followers:
                writer.close()
            self._followers.clear()

    async def _serve(self, opened: threading.Event) -> None:
        async with await asyncio.start_unix_server(self._connected, self._path):
            opened.set()
            await self._over.wait()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.CancelledError):  # the gate closes
            engine, to_engine = await asyncio.open_unix_connection(self._engine)
            back = asyncio.create_task(self._carry_back(engine, writer))
            try:
                await self._carry(reader, to_engine, writer)
            finally:
                self._followers.discard(writer)
                back.cancel()
                to_engine.close()
                writer.close()

    async def _carry(
        self, reader: asyncio.StreamReader, to_engine: asyncio.StreamWriter, client: asyncio.StreamWriter
    ) -> None:
        """Requests. A client sends one after another, so each piece that begins one tells what it is."""
        while data := await reader.read(CHUNK):
            if b"/events?" in data.split(b"\r\n", 1)[0]:
                if self._stream is Stream.CUT:
                    return
                self._followers.add(client)
            to_engine.write(data)
            await to_engine.drain()

    async def _carry_back(self, engine: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await engine.read(CHUNK):
                if client in self._followers and self._stream is Stream.FROZEN:
                    await self._over.wait()  # or until its client is gone
                client.write(data)
                await client.drain()
            client.write_eof()

"""What pipelining and one connection for all are worth where the mail server is far away.

    python tests/bench/smtp.py --messages 20 --latency 20

A mail server on this machine, behind a relay that holds back every byte for `--latency` milliseconds each
way. All ways must bring the same messages. Figures are seconds in all, milliseconds for a message, and the
ratio to the first row:

    pipelined     MAIL, RCPT and DATA in one write, one connection for all messages
    in turn       one command after another, as where the server offers no PIPELINING
    … anew        likewise, with a connection for each message, as without TLS and login
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from smtp_server import recording_server

from digest.deliver.smtp import SmtpDeliverer

MESSAGE = b"Subject: Five papers\r\n\r\n" + b"A paper with a long title that nobody wrote.\r\n" * 400


@contextmanager
def far_away(port: int, latency: float) -> Iterator[int]:
    """A port that leads to another one, as slowly as a long line."""
    loop = asyncio.new_event_loop()

    async def carry(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            loop.call_later(latency, target.write, data)
        loop.call_later(latency, target.close)

    async def connected(near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        far, there = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(carry(near, there), carry(far, back))

    async def finish() -> None:
        server.close()
        await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()}, return_exceptions=True)

    server = loop.run_until_complete(asyncio.start_server(connected, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        asyncio.run_coroutine_threadsafe(finish(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def timed(messages: int, latency: float, *, pipelining: bool, anew: bool) -> float:
    """Seconds to hand all of them over."""
    with recording_server(pipelining=pipelining) as server, far_away(server.port, latency) as port:
        start = time.perf_counter()
        with closing(
            SmtpDeliverer(
                host="127.0.0.1",
                port=port,
                security="none",
                username=None,
                password=None,
                sender="digest@example.test",
            )
        ) as smtp:
            for number in range(messages):
                smtp.deliver(MESSAGE, f"reader-{number}@example.test", handing_over=lambda: None)
                if anew:
                    smtp.close()
            took = time.perf_counter() - start
        if [one.rcpt_tos for one in server.messages] != [
            (f"reader-{number}@example.test",) for number in range(messages)
        ] or {one.content for one in server.messages} != {MESSAGE}:
            sys.exit("the messages differ")
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--messages", type=int, default=20)
    parser.add_argument("--latency", type=float, default=20, help="milliseconds each way")
    asked = parser.parse_args()
    rows = {
        "pipelined": (True, False),
        "in turn": (False, False),
        "pipelined anew": (True, True),
        "in turn anew": (False, True),
    }
    took = {
        name: timed(asked.messages, asked.latency / 1000, pipelining=pipelining, anew=anew)
        for name, (pipelining, anew) in rows.items()
    }
    print(f"{asked.messages} messages of {len(MESSAGE):,} bytes, {asked.latency:g} ms each way")  # noqa: T201
    for name, seconds in took.items():
        each, ratio = seconds / asked.messages * 1000, seconds / took["pipelined"]
        print(f"{name:16} {seconds:6.2f} s {each:6.0f} ms {ratio:6.1f} x")  # noqa: T201


if __name__ == "__main__":
    main()

"""`refresher demo`: the whole thing on this machine, for a minute."""

import asyncio
from typing import Annotated

import typer
from rich.console import Console

from refresher.config import words
from refresher.core.settings import Settings
from refresher.host import process
from refresher.ports import Sink

LengthOption = Annotated[str, typer.Option("--for", metavar="SPAN", help="How long: 30s, 5m, 1h30m.")]


def demo(length: LengthOption = "60s") -> int:
    try:
        span = words.span(length)
    except words.BadValueError as problem:
        raise typer.BadParameter(f"--for {problem}") from None
    for line in process.harden():
        typer.echo(f"warning: {line}", err=True)
    from refresher.demo.run import Demo  # noqa: PLC0415  # the wire is for a hardened process

    return Demo(serve=_serve, length=span, console=Console()).run()


async def _serve(settings: Settings, sinks: tuple[Sink, ...], stop: asyncio.Event) -> int:
    """Run the daemon without its signals: here they are the demo's."""
    from refresher import daemon  # noqa: PLC0415  # as above

    async with daemon.build(settings, sinks=sinks) as parts:
        return await daemon.Daemon(parts, stop).run(lambda _roster, _parts: None)

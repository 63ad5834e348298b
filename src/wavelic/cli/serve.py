"""``wavelic serve``: a IIIF server and a viewer for a folder."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated

import typer

from wavelic.cli.boundary import needs
from wavelic.cli.terminal import remark
from wavelic.errors import UsageError

_BASE_URL = re.compile(r"https?://[A-Za-z0-9._\-\[\]:]+(/[A-Za-z0-9._~\-/]*)?", re.ASCII)


def serve(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of .jp2 and .wlic files.")],
    host: Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8182,
    max_area: Annotated[int, typer.Option(min=1, help="Pixels of the largest image made.")] = 2**24,
    max_width: Annotated[int | None, typer.Option(min=1, help="Its width, if that is limited too.")] = None,
    max_height: Annotated[int | None, typer.Option(min=1, help="Its height, if that is limited too.")] = None,
    cache: Annotated[int, typer.Option(min=1, help="Megabytes of decoded windows and files kept in memory.")] = 512,
    workers: Annotated[int, typer.Option(min=0, help="Decoding threads; 0: one per processor.")] = 0,
    queue: Annotated[int, typer.Option(min=0, help="Requests that may wait for a thread before 503.")] = 128,
    max_age: Annotated[int, typer.Option(min=0, help="Seconds a client may reuse an image without asking.")] = 3600,
    base_url: Annotated[
        str | None, typer.Option(metavar="URL", help="Of this server as clients see it, behind a proxy.")
    ] = None,
    partial: Annotated[
        bool, typer.Option("--partial", help="Show what is there of files that are cut short or still arriving.")
    ] = False,
    trust_proxy: Annotated[
        str, typer.Option(metavar="ADDRESSES", help="Proxies whose X-Forwarded- headers are believed; * for all.")
    ] = "127.0.0.1,::1",
    access_log: Annotated[
        bool, typer.Option("--access-log/--no-access-log", help="A line for every request on standard error.")
    ] = True,
) -> None:
    """Serve a folder: IIIF Image API 3.0 and 2.1 at /iiif/3/ and /iiif/2/, a viewer at /."""
    if base_url is not None and not _BASE_URL.fullmatch(base_url):
        raise UsageError(f"--base-url {base_url!r} is not http(s)://host[/path]; give the address clients use")
    with needs("serve"):
        from wavelic.serving.app import Application, Settings
        from wavelic.serving.request import SizeLimits
        from wavelic.serving.server import configure_log, listen, make_server
        from wavelic.serving.site import Site

        limits = SizeLimits(max_area, max_width, max_height)
        site = Site(folder, cache << 20, 4 * max_area, partial=partial)
    settings = Settings(
        limits, base_url.rstrip("/") if base_url else None, max_age, workers or os.cpu_count() or 1, queue
    )
    bound = listen(host, port)
    configure_log(access=access_log)
    listing = site.listing()
    shown = f"[{host}]" if ":" in host else host
    remark(f"{len(listing.shown)}{'' if listing.complete else ' or more'} images in {folder}; Ctrl-C stops")
    if listing.refused:
        name, reason = next(iter(listing.refused.items()))
        remark(f"{len(listing.refused)} files cannot be shown, for instance {name}: {reason}")
    print(f"http://{shown}:{bound.getsockname()[1]}/", flush=True)
    try:
        make_server(Application(site, settings), trust_proxy).run(sockets=[bound])
    except (KeyboardInterrupt, SystemExit):  # uvicorn repeats the signal that stopped it, after all is put away
        remark("stopped")

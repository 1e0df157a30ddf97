"""`bn-aura api`: the read API and the dashboard in one process."""

from __future__ import annotations

import click

from bn_aura_pipelines.database.opening import open_migrated
from bn_aura_pipelines.settings import get_settings


@click.command()
@click.option("--port", type=int, default=8000, show_default=True, help="Where they listen.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address they listen on.")
def api(port: int, host: str) -> None:
    """Serve the dashboard at /dashboard and the read API, whose documentation is at /docs."""
    from bn_aura_pipelines.api.server import Server
    from bn_aura_pipelines.dashboard.app import make_app

    Server(make_app(open_migrated(), get_settings()), host=host, port=port, log_level="warning").run()

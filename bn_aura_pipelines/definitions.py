"""The code location: gathers the domains' assets; nothing else."""

from __future__ import annotations

import dagster as dg


@dg.definitions
def definitions() -> dg.Definitions:
    """What Dagster loads. No I/O, no heavy library."""
    return dg.Definitions()

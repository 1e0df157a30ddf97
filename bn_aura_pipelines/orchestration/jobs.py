"""The jobs that schedules, sensors and the command line start."""

from __future__ import annotations

import dagster as dg

REFRESH_EVERYTHING = "refresh_everything"

jobs = [dg.define_asset_job(REFRESH_EVERYTHING, description="The whole graph, in order.")]

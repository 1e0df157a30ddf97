"""Gathers the assets of every model; each model's own are in its folder."""

from bn_aura_pipelines.models.churn import assets as churn

assets = [*churn.assets]
OWNED = {**churn.OWNED}

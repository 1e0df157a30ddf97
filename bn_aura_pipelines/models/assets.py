"""Gathers the assets of every model; each model's own are in its folder."""

from bn_aura_pipelines.models.churn import assets as churn
from bn_aura_pipelines.models.leads import assets as leads
from bn_aura_pipelines.models.lifetime import assets as lifetime
from bn_aura_pipelines.models.recommendations import assets as recommendations
from bn_aura_pipelines.models.sentiment import assets as sentiment

assets = [*churn.assets, *leads.assets, *lifetime.assets, *recommendations.assets, *sentiment.assets]
OWNED = {**churn.OWNED, **leads.OWNED, **lifetime.OWNED, **recommendations.OWNED}

-- The figures of every candidate of a training, baselines included, all on the same held-out rows.
-- materialized: table
-- key: model, version, candidate
-- owner: data-science
-- model: what is predicted
-- version: the training
-- candidate: points and recency are the baselines; "champion before" is the version that stood until then
-- n_test: held-out rows
-- auc: area under the ROC curve
-- log_loss: mean negative log-likelihood
-- brier: mean squared error of the probability
-- ece: expected calibration error over ten bins
-- recall_at_10: of rankings: of what customers took in the held-out days, the share among the first ten
-- ndcg_at_10: of rankings: discounted gain of the first ten
-- hit_at_1: of rankings: share of customers whose next such visit was for the first
-- coverage: of rankings: share of what is offered that somebody gets among the first ten
-- novelty: of rankings: mean of -log2 of the share of customers who had what is recommended
-- is_chosen: whether this candidate became the version
select
    c.model,
    c.version,
    c.candidate,
    c.n_test,
    c.auc,
    c.log_loss,
    c.brier,
    c.ece,
    c.recall_at_10,
    c.ndcg_at_10,
    c.hit_at_1,
    c.coverage,
    c.novelty,
    c.candidate = r.kind as is_chosen
from aura_models.candidate_metrics as c
inner join aura_marts.model_performance as r on c.model = r.model and c.version = r.version

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
    c.candidate = r.kind as is_chosen
from aura_models.candidate_metrics as c
inner join aura_marts.model_performance as r on c.model = r.model and c.version = r.version

-- Every trained model version known at the run's moment, what it measured on held-out rows, and why it was promoted.
-- materialized: table
-- key: model, version
-- owner: data-science
-- model: what is predicted
-- version: counts from 1
-- alias: champion (scores now), challenger (the latest that was not promoted) or null
-- kind: the kind of model
-- promoted: whether it was found better than what stood
-- decision: the decision on promotion in words
-- auc: area under the ROC curve on the test snapshot
-- log_loss: mean negative log-likelihood
-- brier: mean squared error of the probability
-- ece: expected calibration error over ten bins
-- recall_at_10: of rankings: of what customers took in the held-out days, the share among the first ten
-- ndcg_at_10: of rankings: discounted gain of the first ten
-- hit_at_1: of rankings: share of customers whose next such visit was for the first
-- coverage: of rankings: share of what is offered that somebody gets among the first ten
-- novelty: of rankings: mean of -log2 of the share of customers who had what is recommended
-- n_train: training rows
-- n_test: held-out rows
-- window_start: first training snapshot
-- window_end: end of the last label's window
select
    model,
    version,
    alias,
    kind,
    promoted,
    decision,
    (metrics ->> 'auc')::float8 as auc,
    (metrics ->> 'log_loss')::float8 as log_loss,
    (metrics ->> 'brier')::float8 as brier,
    (metrics ->> 'ece')::float8 as ece,
    (metrics ->> 'recall_at_10')::float8 as recall_at_10,
    (metrics ->> 'ndcg_at_10')::float8 as ndcg_at_10,
    (metrics ->> 'hit_at_1')::float8 as hit_at_1,
    (metrics ->> 'coverage')::float8 as coverage,
    (metrics ->> 'novelty')::float8 as novelty,
    n_train,
    n_test,
    window_start,
    window_end
from aura_models.registry
where coalesce(window_end, '-infinity') <= aura_ops.as_of()

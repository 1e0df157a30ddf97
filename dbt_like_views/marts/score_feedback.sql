-- How often people found the scores of each model version right, up to the run's moment.
-- materialized: table
-- key: clinic_id, model, model_version
-- owner: data-science
-- test: right_answers between 0 and answers
-- clinic_id: the tenant
-- model: churn or lead
-- model_version: the version that gave the scores; 0 where the application did not say, and for the points
-- answers: how many answers were given
-- right_answers: how many of them found the score right
-- right_share: right_answers as a share of answers
-- mean_score: mean of the scores that were judged, null where the application did not say
-- subjects: different customers or leads
-- last_given_at: the latest answer
select
    clinic_id,
    model,
    coalesce(model_version, 0) as model_version,
    count(*)::int as answers,
    count(*) filter (where was_right)::int as right_answers,
    (count(*) filter (where was_right))::float8 / count(*) as right_share,
    avg(score)::float8 as mean_score,
    count(distinct subject_id)::int as subjects,
    max(given_at) as last_given_at
from aura_ops.score_feedback
where given_at < aura_ops.as_of()
group by clinic_id, model, coalesce(model_version, 0)

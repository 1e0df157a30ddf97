-- The ten customers of the same clinic who are most like each, by profile and by behaviour.
-- materialized: table
-- key: clinic_id, customer_id, rank
-- owner: data-science
-- test: customer_id <> similar_customer_id
-- clinic_id: the tenant
-- customer_id: the customer
-- rank: 1 is the most similar
-- similar_customer_id: somebody of the same clinic
-- customer_code: the code people use for that one
-- full_name: that one's name
-- similarity: cosine of profile and behaviour, half and half; 1 is the same
-- completed_visits: that one's completed visits
-- revenue_thb: that one's revenue so far
select
    s.clinic_id,
    s.customer_id,
    s.rank,
    s.similar_customer_id,
    c.customer_code,
    c.full_name,
    s.similarity,
    c.completed_visits,
    c.revenue_thb
from aura_models.similar_customers as s
inner join aura_marts.customer_360 as c on s.similar_customer_id = c.customer_id and s.clinic_id = c.clinic_id

-- What is due again (rebook) and what would be new (cross_sell) for each customer, best first.
-- materialized: table
-- key: clinic_id, customer_id, kind, rank
-- owner: data-science
-- test: score between 0 and 1
-- clinic_id: the tenant
-- customer_id: the customer
-- kind: rebook (had before, due again) or cross_sell (never had here)
-- rank: 1 is the best of its kind
-- treatment_id: an active treatment that this clinic offers
-- treatment_name_en: its name in English
-- treatment_name_th: its name in Thai
-- category: its category
-- score: probability that the customer has it within 90 days
-- basis: what the score rests on: model, similar_customers or popularity
-- due_in_days: days until a repeat is due, negative when overdue; null for what is new
-- interval_days: days after which a repeat is due for this customer; null for what is new
-- reason_en: why, in English
-- reason_th: why, in Thai
-- caution_en: what a person has to check first (allergies, medical notes), in English; null where nothing is known
-- caution_th: the same in Thai
-- price_min_thb: lower end of the price
-- price_max_thb: upper end of the price
select
    r.clinic_id,
    r.customer_id,
    r.kind,
    r.rank,
    r.treatment_id,
    t.name_en as treatment_name_en,
    t.name_th as treatment_name_th,
    t.category,
    r.score,
    r.basis,
    r.due_in_days,
    r.interval_days,
    r.reason_en,
    r.reason_th,
    r.caution_en,
    r.caution_th,
    t.price_min_thb,
    t.price_max_thb
from aura_models.treatment_recommendations as r
inner join aura_staging.stg_treatments as t on r.treatment_id = t.treatment_id

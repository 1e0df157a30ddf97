-- What to do about each customer next: the action expected to gain most, under consent and contact caps; the runner-up.
-- materialized: table
-- key: clinic_id, customer_id
-- owner: crm
-- index: clinic_id, expected_value_thb, customer_id
-- test: confidence between 0 and 1
-- test: action <> runner_up
-- clinic_id: the tenant
-- customer_id: the customer
-- action: rebook, cross_sell, win_back, nurture, vip_care, ask_review or do_nothing
-- treatment_id: the treatment it is about; null where it is about none
-- expected_value_thb: uplift x margin x what success brings - cost: the gain over doing nothing, which is 0
-- confidence: probability that the customer does what the action is about (for none: visits within 90 days)
-- uplift: what the action adds to the probability of a visit (of a review), on average of all it is done to
-- uplift_low: lower end of the 95 % interval of the uplift
-- uplift_high: its upper end
-- uplift_basis: holdout (learnt from who was held out at random, weighed with the prior), prior (assumed) or none
-- runner_up: the second choice
-- runner_up_treatment_id: the treatment it is about
-- runner_up_expected_value_thb: its gain; null where it was no choice at all
-- why_en: why the action, in English
-- why_th: the same in Thai
-- why_not_runner_up_en: why not the runner-up, in English
-- why_not_runner_up_th: the same in Thai
select
    clinic_id,
    customer_id,
    action,
    treatment_id,
    expected_value_thb,
    confidence,
    uplift,
    uplift_low,
    uplift_high,
    uplift_basis,
    runner_up,
    runner_up_treatment_id,
    runner_up_expected_value_thb,
    why_en,
    why_th,
    why_not_runner_up_en,
    why_not_runner_up_th
from aura_ops.next_best_actions

-- Referrals made before the run's moment, of customers known by then; empty where the application keeps none.
-- materialized: view
-- key: referral_id
-- referral_id: the referral
-- clinic_id: the tenant
-- referrer_customer_id: who recommended the clinic
-- referred_customer_id: who came, once a customer of the same clinic; null until then
-- status: pending, completed or rewarded, as it stands
-- created_at: when the referral was made
select
    r.id as referral_id,
    r.clinic_id,
    r.referrer_customer_id,
    referred.customer_id as referred_customer_id,
    r.status,
    r.created_at
from aura_staging.source_referrals as r
inner join aura_staging.stg_customers as referrer
    on r.referrer_customer_id = referrer.customer_id and r.clinic_id = referrer.clinic_id
left join aura_staging.stg_customers as referred
    on r.referred_customer_id = referred.customer_id and r.clinic_id = referred.clinic_id
where r.created_at < aura_ops.as_of()

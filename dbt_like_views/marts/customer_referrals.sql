-- Who brought whom, through how many steps, and what those who came have paid; empty where there are no referrals.
-- Nobody refers himself; where referrals form a circle, each pair is told once and the walk ends.
-- materialized: table
-- key: clinic_id, customer_id, referred_customer_id
-- owner: data-science
-- index: clinic_id, customer_id, depth, referred_customer_id
-- index: clinic_id, referred_customer_id
-- test: customer_id <> referred_customer_id
-- clinic_id: the tenant
-- customer_id: who brought somebody, directly or through others
-- referred_customer_id: who came; everybody has one referrer, the first that was noted
-- customer_code: the code people use for the one who came
-- full_name: name of the one who came
-- depth: 1 where brought directly, 2 where brought by somebody who was brought, and so on
-- via_customer_id: who referred the one who came; the customer at depth 1
-- referred_at: when the last step was noted
-- revenue_thb: what the one who came has paid so far
with recursive first_referrals as (
    select distinct on (clinic_id, referred_customer_id)
        clinic_id,
        referrer_customer_id,
        referred_customer_id,
        created_at
    from aura_staging.stg_referrals
    where referred_customer_id is not null and referred_customer_id <> referrer_customer_id
    order by clinic_id, referred_customer_id, created_at, referral_id
),

chains as (
    select
        clinic_id,
        referrer_customer_id as customer_id,
        referred_customer_id,
        referrer_customer_id as via_customer_id,
        created_at as referred_at,
        array[referrer_customer_id, referred_customer_id] as path
    from first_referrals
    union all
    select
        c.clinic_id,
        c.customer_id,
        f.referred_customer_id,
        f.referrer_customer_id,
        f.created_at,
        c.path || f.referred_customer_id as path
    from chains as c
    inner join first_referrals as f
        on c.clinic_id = f.clinic_id and c.referred_customer_id = f.referrer_customer_id
    where not f.referred_customer_id = any(c.path)
)

select
    c.clinic_id,
    c.customer_id,
    c.referred_customer_id,
    p.customer_code,
    p.full_name,
    cardinality(c.path) - 1 as depth,
    c.via_customer_id,
    c.referred_at,
    p.revenue_thb
from chains as c
inner join aura_marts.customer_360 as p on c.referred_customer_id = p.customer_id and c.clinic_id = p.clinic_id

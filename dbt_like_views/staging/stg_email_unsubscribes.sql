-- Addresses that had unsubscribed from a clinic's e-mail by the run's moment.
-- materialized: view
-- key: clinic_id, email
-- email: lower-cased
select
    clinic_id,
    lower(trim(email)) as email,
    min(unsubscribed_at) as unsubscribed_at
from aura_staging.source_email_unsubscribes
where unsubscribed_at < aura_ops.as_of()
group by clinic_id, lower(trim(email))

-- Clinics known at the run's moment.
-- materialized: view
-- key: clinic_id
-- clinic_id: the tenant
-- clinic_code: short code people use, unique
-- name_th: display name in Thai
-- name_en: display name in English
-- is_active: whether the clinic is open
-- created_at: when the clinic was entered
select
    id as clinic_id,
    clinic_code,
    display_name ->> 'th' as name_th,
    display_name ->> 'en' as name_en,
    is_active,
    created_at
from aura_staging.source_clinics
where created_at < aura_ops.as_of()

-- The clinics by name: what people see above their figures.
-- materialized: table
-- key: clinic_id
-- owner: analytics
-- index: clinic_id, clinic_code
-- clinic_id: the tenant
-- clinic_code: short code people use
-- name_th: display name in Thai
-- name_en: display name in English
select
    clinic_id,
    clinic_code,
    name_th,
    name_en
from aura_staging.stg_clinics

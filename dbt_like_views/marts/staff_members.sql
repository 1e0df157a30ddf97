-- The people of a clinic by name: whom the ids of staff in other tables mean.
-- materialized: table
-- key: clinic_id, user_id
-- owner: analytics
-- clinic_id: the tenant
-- user_id: who
-- full_name: name; null where nobody entered one
-- role: clinic_owner, clinic_admin, clinic_staff or sales_staff
-- is_active: whether they work there now
select
    clinic_id,
    user_id,
    full_name,
    role,
    is_active
from aura_staging.stg_staff

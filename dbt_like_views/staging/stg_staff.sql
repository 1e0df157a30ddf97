-- Staff of the clinics known at the run's moment.
-- materialized: view
-- key: clinic_id, user_id
-- role: clinic_owner, clinic_admin, clinic_staff or sales_staff
select
    s.clinic_id,
    s.user_id,
    s.role,
    s.is_active,
    u.full_name,
    u.email,
    s.created_at
from aura_staging.source_clinic_staff as s
left join aura_staging.source_users as u on s.user_id = u.id
where s.created_at < aura_ops.as_of()

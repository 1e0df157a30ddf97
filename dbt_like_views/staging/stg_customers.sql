-- Customers known at the run's moment; mutable facts as they are now.
-- materialized: view
-- key: customer_id
-- customer_id: the customer
-- clinic_id: the tenant
-- assigned_sales_id: the sales person in charge
-- email: lower-cased, null when empty
-- skin_concerns: a jsonb array, empty when malformed
-- tags: a jsonb array, empty when malformed
-- created_at: when the customer was entered
select
    id as customer_id,
    clinic_id,
    user_id,
    assigned_sales_id,
    customer_code,
    full_name,
    nickname,
    nullif(lower(trim(email)), '') as email,
    nullif(trim(phone), '') as phone,
    date_of_birth,
    gender,
    province,
    status,
    customer_type,
    source,
    allergies,
    medical_notes,
    case when jsonb_typeof(skin_concerns) = 'array' then skin_concerns else '[]'::jsonb end as skin_concerns,
    notes,
    case when jsonb_typeof(tags) = 'array' then tags else '[]'::jsonb end as tags,
    created_at
from aura_staging.source_customers
where created_at < (select aura_ops.as_of())

-- Appointments booked before the run's moment. One whose time has not come yet is scheduled, whatever it became later.
-- materialized: view
-- key: appointment_id
-- visit_at: when the visit begins, in Bangkok
-- visit_date: the Bangkok day of the visit
-- status: completed, cancelled, no_show or scheduled, as known at the run's moment
-- treatment_ids: a jsonb array of treatment ids, empty when malformed; ids may no longer exist
-- total_price_thb: price of the visit; revenue only when the visit is completed
-- revenue_thb: the price of a completed visit, else zero
-- created_at: when the visit was booked
with visits as (
    select
        *,
        -- Bangkok's time, which has been seven hours ahead since 1920: by its name it would take seven times as long.
        (appointment_date + start_time) at time zone interval '7 hours' as visit_at
    from aura_staging.source_appointments
    where created_at < (select aura_ops.as_of())
)

select
    id as appointment_id,
    clinic_id,
    customer_id,
    staff_id,
    appointment_type,
    visit_at,
    appointment_date as visit_date,
    case
        when visit_at >= (select aura_ops.as_of()) then 'scheduled'
        when status in ('completed', 'cancelled', 'no_show') then status
        else 'scheduled'
    end as status,
    case when jsonb_typeof(treatment_ids) = 'array' then treatment_ids else '[]'::jsonb end as treatment_ids,
    total_price as total_price_thb,
    case when visit_at < (select aura_ops.as_of()) and status = 'completed' then total_price else 0 end as revenue_thb,
    created_at
from visits

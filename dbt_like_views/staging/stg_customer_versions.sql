-- A number for each customer that moves whenever what a run may know of the customer does: an event that is new, gone,
-- changed, or that time has brought.
-- materialized: view
-- key: customer_id
-- customer_id: the customer
-- version: of all the customer's rows together
with known_rows as (
    select
        id as customer_id,
        row_version
    from aura_staging.source_customers
    where created_at < (select aura_ops.as_of())

    union all

    select
        customer_id,
        row_version
    from aura_staging.source_customer_conversations
    where created_at < (select aura_ops.as_of())

    union all

    select
        customer_id,
        -- A booked visit becomes a completed one when its hour has come.
        case
            when (appointment_date + start_time) at time zone interval '7 hours' < (select aura_ops.as_of())
                then hashint8extended(row_version, 1)
            else row_version
        end as row_version
    from aura_staging.source_appointments
    where created_at < (select aura_ops.as_of())

    union all

    select
        customer_id,
        row_version
    from aura_staging.source_sales_leads
    where created_at < (select aura_ops.as_of())

    union all

    select
        l.customer_id,
        hash_record_extended(row(h.tableoid, h.ctid, h.xmin), 0) as row_version
    from aura_ops.lead_stage_history as h
    inner join aura_staging.source_sales_leads as l on h.lead_id = l.id
    where h.recorded_at <= (select aura_ops.as_of())

    union all

    select
        o.recipient_id as customer_id,
        hash_record_extended(row(o.tableoid, o.ctid, o.xmin), 0) as row_version
    from aura_ops.outbox as o
    where o.recipient_type = 'customer' and o.sent_at <= (select aura_ops.as_of())
)

select
    customer_id,
    bit_xor(row_version) as version
from known_rows
where customer_id is not null
group by customer_id

-- The moments features are computed at: the month starts (Bangkok) of the last 24 months, and the run's own moment.
-- Within a backfill (setting bn_aura.months, a range of days) the month starts of that range instead.
-- materialized: view
-- key: snapshot_at
-- snapshot_at: a snapshot knows what happened before this moment, and nothing later
-- label_until: the end of the churn label's window, 90 days on
with asked as (
    select
        nullif(current_setting('bn_aura.months', true), '')::daterange as months,
        date_trunc('month', aura_ops.as_of() at time zone 'Asia/Bangkok') as this_month
),

moments as (
    select month_start at time zone 'Asia/Bangkok' as snapshot_at
    from asked
    cross join generate_series(
        coalesce(lower(months)::timestamp, this_month - interval '24 months'),
        coalesce(least(upper(months)::timestamp - interval '1 month', this_month), this_month),
        interval '1 month'
    ) as month_start
    union
    select aura_ops.as_of() from asked
    where months is null
)

select
    snapshot_at,
    snapshot_at + interval '90 days' as label_until
from moments

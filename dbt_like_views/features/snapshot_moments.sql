-- The moments features are computed at: the month starts (Bangkok) of the last 24 months, and the run's own moment.
-- materialized: view
-- key: snapshot_at
-- snapshot_at: a snapshot knows what happened before this moment, and nothing later
-- label_until: the end of the churn label's window, 90 days on
with months as (
    select month_start at time zone 'Asia/Bangkok' as snapshot_at
    from generate_series(
        date_trunc('month', aura_ops.as_of() at time zone 'Asia/Bangkok') - interval '24 months',
        date_trunc('month', aura_ops.as_of() at time zone 'Asia/Bangkok'),
        interval '1 month'
    ) as month_start
    union
    select aura_ops.as_of()
)

select
    snapshot_at,
    snapshot_at + interval '90 days' as label_until
from months

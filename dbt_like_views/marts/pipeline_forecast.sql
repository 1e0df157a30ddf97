-- What the open leads of a clinic will bring: wins and THB within 30, 60 and 90 days, with 10th and 90th percentiles.
-- materialized: table
-- key: clinic_id, stage, horizon_days
-- owner: sales
-- kinds: forecast
-- test: wins_p10 <= wins_p50 and wins_p50 <= wins_p90
-- test: coalesce(thb_p10 <= thb_p90, true)
-- clinic_id: the tenant
-- stage: all, or the stage that the leads are at now
-- horizon_days: 30, 60 or 90 days from the run's moment
-- open_leads: leads that the forecast is about; leads yet to come are not in it
-- wins_mean: expected wins
-- wins_p10: in one case of ten there are fewer
-- wins_p50: the median
-- wins_p90: in one case of ten there are more
-- thb_p10: in one case of ten they bring less; null where no value is known
-- thb_p50: the median
-- thb_p90: in one case of ten they bring more
-- backtest_months: past months that such forecasts of this clinic were held against
-- wins_coverage: share of what came in those months that lay within the 80 % interval; .8 is right
-- thb_coverage: the same in THB
with backtests as (
    select
        clinic_id,
        horizon_days,
        count(*)::int as backtest_months,
        round(avg(wins_inside::numeric), 4)::float8 as wins_coverage,
        round(avg(thb_inside::numeric), 4)::float8 as thb_coverage
    from aura_models.lead_forecast_backtests
    group by clinic_id, horizon_days
)

select
    f.clinic_id,
    f.stage,
    f.horizon_days,
    f.open_leads,
    f.wins_mean,
    f.wins_p10,
    f.wins_p50,
    f.wins_p90,
    f.thb_p10,
    f.thb_p50,
    f.thb_p90,
    coalesce(b.backtest_months, 0) as backtest_months,
    b.wins_coverage,
    b.thb_coverage
from aura_models.lead_forecasts as f
left join backtests as b on f.clinic_id = b.clinic_id and f.horizon_days = b.horizon_days

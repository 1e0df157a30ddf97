-- What the open leads will bring, and how such forecasts did in the past.
create table aura_models.lead_forecasts (
    clinic_id uuid not null,
    stage text not null,
    horizon_days int not null,
    open_leads int not null,
    wins_mean float8 not null,
    wins_p10 float8 not null,
    wins_p50 float8 not null,
    wins_p90 float8 not null,
    thb_p10 float8,
    thb_p50 float8,
    thb_p90 float8,
    primary key (clinic_id, stage, horizon_days)
);
comment on table aura_models.lead_forecasts is
'Simulated wins and THB of the leads open at the run''s moment, by clinic and stage (and all of them), days ahead.';
comment on column aura_models.lead_forecasts.thb_p50 is
'Null where no lead of the clinic has a value: not zero. A lead without one counts with the median of the clinic.';

create table aura_models.lead_forecast_backtests (
    clinic_id uuid not null,
    forecast_at timestamptz not null,
    horizon_days int not null,
    open_leads int not null,
    wins_p10 float8 not null,
    wins_p50 float8 not null,
    wins_p90 float8 not null,
    wins_actual int not null,
    wins_inside float8 not null check (wins_inside between 0 and 1),
    thb_p10 float8,
    thb_p50 float8,
    thb_p90 float8,
    thb_actual float8,
    thb_inside float8 check (thb_inside between 0 and 1),
    primary key (clinic_id, forecast_at, horizon_days)
);
comment on table aura_models.lead_forecast_backtests is
'The forecast that would have been made at past month starts with what was known then, beside what came.';
comment on column aura_models.lead_forecast_backtests.wins_inside is
'How much of what came lies between the 10th and 90th percentile. A count is as wide as its own probability, and what of
it lies outside does not count (non-randomised PIT of Czado, Gneiting and Held 2009).';

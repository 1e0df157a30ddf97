-- What each customer is worth: so far, and within the next twelve months.
create table aura_models.lifetime_values (
    customer_id uuid primary key,
    clinic_id uuid not null,
    model_version int not null,
    ltv_current_thb numeric(14, 2) not null,
    alive_probability float8 check (alive_probability between 0 and 1),
    expected_visits_12m float8,
    ltv_12m_thb numeric(14, 2),
    ltv_12m_low_thb numeric(14, 2),
    ltv_12m_high_thb numeric(14, 2)
);
create index lifetime_values_clinic_id_idx on aura_models.lifetime_values (clinic_id);
comment on table aura_models.lifetime_values is
'What each customer with a completed visit has paid, will probably pay, and whether they are still a customer.';
comment on column aura_models.lifetime_values.model_version is
'Version of the model "lifetime"; 0 where there is too little history to predict.';
comment on column aura_models.lifetime_values.ltv_12m_low_thb is
'With the high value the narrowest interval that holds the revenue of twelve months with a probability of 80 %.';

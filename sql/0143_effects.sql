-- Two formulas of trigger_effects.
create function aura_ops.wilson(share float8, n float8, out low float8, out high float8)
language sql immutable parallel safe
begin atomic
    select
        (share + 1.920729 / n - 1.959964 * sqrt(share * (1 - share) / n + 0.960365 / (n * n)))
        / (1 + 3.841459 / n) as low,
        (share + 1.920729 / n + 1.959964 * sqrt(share * (1 - share) / n + 0.960365 / (n * n)))
        / (1 + 3.841459 / n) as high;
end;
comment on function aura_ops.wilson(float8, float8) is 'The 95 % score interval of a share of n (Wilson 1927).';

create function aura_ops.always_valid_half_width(variance float8, n float8) returns float8
language sql immutable parallel safe
return (
    -- rho squared is chosen for n = 1,000: (5.9915 + ln(6.9915)) / 1000.
    sqrt(variance * 2 * (n * 0.0079362 + 1) / (n * 0.0079362) * ln(sqrt(n * 0.0079362 + 1) / 0.05))
);
comment on function aura_ops.always_valid_half_width(float8, float8) is
'Half the width of a 95 % asymptotic confidence sequence (Waudby-Smith et al. 2024, theorem 2.2) around an estimate with
this variance after n observations: it holds at every look together.';

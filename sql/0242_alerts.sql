-- What failed, grouped, and what each channel has told about it.
create table aura_ops.alerts (
    what text not null,
    cause text not null,
    first_at timestamptz not null,
    last_at timestamptz not null,
    times int not null,
    remedy text not null,
    link text not null,
    primary key (what, cause)
);
comment on table aura_ops.alerts is
'Failures by asset and cause: how often, since when, what to do, where to look. Without personal data.';

create table aura_ops.alerts_told (
    channel text not null,
    what text not null,
    cause text not null,
    told_at timestamptz not null,
    times int not null,
    primary key (channel, what, cause),
    foreign key (what, cause) references aura_ops.alerts (what, cause) on delete cascade
);
comment on table aura_ops.alerts_told is
'When each channel last told of a failure, and how often it had come by then: a channel that fails repeats no other''s
messages.';

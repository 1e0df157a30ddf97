-- How complete the vectors were, day by day.
create table aura_ops.embedding_coverage (
    entity text not null,
    model text not null,
    day date not null,
    done int not null,
    waiting int not null,
    dead int not null,
    primary key (entity, model, day)
);
comment on table aura_ops.embedding_coverage is
'After the last sync of each day: rows whose vector is what their source asks for, that wait for one, and that were '
'given up.';
comment on column aura_ops.embedding_coverage.day is 'Bangkok day of the moment that the sync was about.';
comment on column aura_ops.embedding_coverage.done is 'Rows without text are among them: they need no vector.';

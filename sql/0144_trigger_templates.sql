-- Templates of an installation's own, beside those that come with the module.
create table aura_ops.trigger_templates (
    template text not null check (template ~ '^[a-z][a-z0-9_-]*$'),
    language text not null check (language in ('th', 'en')),
    source text not null,
    primary key (template, language)
);
comment on table aura_ops.trigger_templates is
'Templates of the installation''s own; one with the name of a packaged template replaces it. Saved by `bn-aura rules
save`, which refuses unknown variables.';

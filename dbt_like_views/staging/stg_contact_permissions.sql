-- Whether a customer may be told anything, may be sent e-mail, and may be sent marketing. Asked at each decision and
-- again before each sending; a null says that nothing stands against it.
-- materialized: view
-- key: customer_id
-- clinic_id: the tenant
-- email: lower-cased, null when empty
-- language: th or en
-- contact_obstacle: why nobody may approach the customer, nor be asked to
-- email_obstacle: why no e-mail may be sent
-- marketing_obstacle: why no marketing may be sent. Refusing is taken broadly, consent narrowly: without a record of it
--   there is none
-- max_weekly_contacts: most messages of all rules together within 7 days; 2 where the customer named none
-- max_monthly_contacts: the same within 30 days; 4 where the customer named none
with consents as (
    select
        user_id,
        bool_or(consent_given and consent_type in ('marketing', 'marketing_email', 'email_marketing'))
        filter (where revoked_at is null or revoked_at >= (select aura_ops.as_of())) as is_given,
        bool_or(
            consent_type ~* 'marketing|promotion|email'
            and (not consent_given or revoked_at < (select aura_ops.as_of()))
        ) as is_refused
    from aura_staging.source_consent_records
    group by user_id
),

deletions as (
    select distinct user_id
    from aura_staging.source_data_deletion_requests
    where coalesce(status, 'pending') not in ('rejected', 'cancelled')
),

suppressions as (
    select
        email_hash,
        clinic_id,
        bool_or(reason = 'bounced') as has_bounced,
        bool_or(reason = 'complained') as has_complained
    from aura_ops.email_suppressions
    where since < (select aura_ops.as_of())
    group by email_hash, clinic_id
)

select
    c.customer_id,
    c.clinic_id,
    c.email,
    case when p.language = 'en' then 'en' else 'th' end as language,
    case
        when c.status = 'blacklisted' then 'blacklisted'
        when d.user_id is not null then 'asked for their data to be deleted'
        when p.do_not_contact then 'asked not to be contacted'
    end as contact_obstacle,
    case
        when c.email is null then 'no e-mail address'
        -- A bound within the expression, {1,64}, takes ten times as long.
        when c.email !~ '^[^@[:space:]<>",;]+@[a-z0-9-]+(\.[a-z0-9-]+)*\.[a-z]{2,}$'
            or position('@' in c.email) > 65
            or length(c.email) > 254 then 'malformed e-mail address'
        when everywhere.has_bounced then 'e-mail bounced'
        when everywhere.has_complained then 'complained about e-mail'
    end as email_obstacle,
    case
        when u.email is not null or here.email_hash is not null then 'unsubscribed from e-mail'
        when k.is_refused then 'consent to marketing withdrawn'
        when not coalesce(p.marketing_opt_in, false) and not coalesce(k.is_given, false)
            then 'no consent to marketing on record'
        when cardinality(p.preferred_channels) > 0 and not 'email' = any(p.preferred_channels)
            then 'prefers another channel'
    end as marketing_obstacle,
    coalesce(p.max_weekly_contacts, 2) as max_weekly_contacts,
    coalesce(p.max_monthly_contacts, 4) as max_monthly_contacts
from aura_staging.stg_customers as c
left join aura_staging.stg_contact_preferences as p on c.customer_id = p.customer_id
left join aura_staging.stg_email_unsubscribes as u on c.clinic_id = u.clinic_id and c.email = u.email
left join consents as k on c.user_id = k.user_id
left join deletions as d on c.user_id = d.user_id
left join suppressions as everywhere
    on sha256(convert_to(c.email, 'UTF8')) = everywhere.email_hash and everywhere.clinic_id is null
left join suppressions as here
    on sha256(convert_to(c.email, 'UTF8')) = here.email_hash and c.clinic_id = here.clinic_id

-- How a customer wants to be contacted, as it stands; the application keeps no history of it.
-- materialized: view
-- key: customer_id
-- do_not_contact: nothing may be sent, by any channel
-- marketing_opt_in: whether marketing is allowed; a customer without a row has allowed nothing
-- language: th or en
select
    customer_id,
    clinic_id,
    preferred_channels,
    coalesce(do_not_contact, false) as do_not_contact,
    coalesce(marketing_opt_in, false) as marketing_opt_in,
    best_contact_time,
    language,
    max_weekly_contacts,
    max_monthly_contacts
from aura_staging.source_customer_preferences

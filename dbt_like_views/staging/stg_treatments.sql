-- Treatments known at the run's moment.
-- materialized: view
-- key: treatment_id
-- treatment_id: the treatment
-- clinic_id: the clinic that offers it, null where the catalogue is shared
-- price_min_thb: lower end of the price
-- price_max_thb: upper end of the price
select
    id as treatment_id,
    clinic_id,
    names ->> 'en' as name_en,
    names ->> 'th' as name_th,
    category,
    price_min as price_min_thb,
    price_max as price_max_thb,
    is_active,
    created_at
from aura_staging.source_treatments
where created_at < aura_ops.as_of()

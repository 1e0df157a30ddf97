-- What was known of each lead: as it was entered, and what happened in its first three days, up to the run's moment or
-- to the outcome. The short, equal window makes open leads comparable with decided ones.
-- materialized: view
-- key: lead_id
-- clinic_id: the tenant, where the lead has one
-- decided_at: when the lead was won or lost, null while it is open
-- is_won: 1 if won, 0 if lost, null while the lead is open
-- response_hours: hours to the first contact, at most 72; null while nobody made contact and there is still time
-- staff_load_30d: leads that the same person had been given in the 30 days before
-- messages: messages of the lead's conversations within the window; null without a conversation
-- replies: those of them that staff wrote
-- questions: customer messages that ask something
-- price_inquiries: customer messages about prices or promotions
-- urgency_signals: customer messages that speak of haste
-- budget_signals: customer messages about budget, instalments or deposits
-- skin_score: the latest skin analysis within the window, 0 to 100, of who has the lead's e-mail address in the clinic;
--   null without one
-- notes, source, primary_concern, estimated_value_thb and metadata: the application's, as they stand; the leakage guard
--   decides which of them a model may see
with leads as (
    select
        lead_id,
        clinic_id,
        sales_user_id,
        stage,
        created_at,
        email,
        phone,
        notes,
        source,
        primary_concern,
        metadata,
        estimated_value_thb::float8 as estimated_value_thb,
        case when stage in ('won', 'lost') then stage_changed_at end as decided_at,
        case when last_contacted_at >= created_at then last_contacted_at end as contacted_at,
        case
            when sales_user_id is not null
                then
                    count(*) over (
                        partition by sales_user_id
                        order by created_at
                        range between interval '30 days' preceding and current row
                    ) - 1
        end as staff_load_30d
    from aura_staging.stg_leads
),

windows as (
    select
        *,
        least((select aura_ops.as_of()), decided_at, created_at + interval '3 days') as known_until
    from leads
),

talks as (
    select
        conversation_id,
        lead_id
    from (
        select
            id as conversation_id,
            metadata ->> 'lead_id' as lead_id
        from aura_staging.source_customer_conversations
        where created_at < (select aura_ops.as_of())
    ) as c
    where lead_id is not null
),

said as (
    select
        w.lead_id,
        count(*) as messages,
        count(*) filter (where m.role <> 'customer') as replies,
        count(*) filter (
            where
            m.role = 'customer'
            and m.content ~* '\?|？|ไหม|มั้ย|หรือเปล่า|หรือยัง|เท่าไหร่|เท่าไร|ยังไง|อย่างไร|เมื่อไหร่|ที่ไหน'
        ) as questions,
        count(*) filter (
            where
            m.role = 'customer'
            and m.content
            ~* 'ราคา|เท่าไหร่|เท่าไร|กี่บาท|โปรโม|ส่วนลด|\m(price|how much|cost|promo|discount)'
        ) as price_inquiries,
        count(*) filter (
            where
            m.role = 'customer'
            and m.content
            ~* 'ด่วน|รีบ|วันนี้|พรุ่งนี้|สัปดาห์นี้|อาทิตย์นี้|เร็วที่สุด|\m(urgent|asap|today|tomorrow|this week|soon)'
        ) as urgency_signals,
        count(*) filter (
            where
            m.role = 'customer'
            and m.content ~* 'งบ|ผ่อน|มัดจำ|บัตรเครดิต|\m(budget|instal+ment|deposit|credit card)'
        ) as budget_signals
    from windows as w
    inner join talks as t on w.lead_id::text = t.lead_id
    inner join aura_staging.stg_messages as m on t.conversation_id = m.conversation_id and w.known_until > m.sent_at
    group by w.lead_id
),

people as (
    select
        id as customer_id,
        null::uuid as user_id,
        clinic_id,
        lower(trim(email)) as email
    from aura_staging.source_customers
    union all
    select
        null::uuid as customer_id,
        id as user_id,
        clinic_id,
        lower(trim(email)) as email
    from aura_staging.source_users
),

analyses as (
    select distinct on (w.lead_id)
        w.lead_id,
        a.overall_score
    from aura_staging.source_skin_analyses as a
    inner join people as p on a.clinic_id = p.clinic_id and (a.customer_id = p.customer_id or a.user_id = p.user_id)
    inner join windows as w on p.clinic_id = w.clinic_id and p.email = w.email and a.analyzed_at < w.known_until
    where a.overall_score is not null
    order by w.lead_id asc, a.analyzed_at desc, a.overall_score asc
)

select
    w.lead_id,
    w.clinic_id,
    w.sales_user_id,
    w.stage,
    w.created_at,
    w.decided_at,
    case w.stage when 'won' then 1 when 'lost' then 0 end as is_won,
    (w.email is not null)::int as has_email,
    (w.phone is not null)::int as has_phone,
    w.source,
    w.primary_concern,
    w.estimated_value_thb,
    w.notes,
    case
        when w.contacted_at < w.known_until then extract(epoch from w.contacted_at - w.created_at)::float8 / 3600
        when w.decided_at is not null or (select aura_ops.as_of()) >= w.created_at + interval '3 days' then 72.0::float8
    end as response_hours,
    w.staff_load_30d::int as staff_load_30d,
    s.messages::int as messages,
    s.replies::int as replies,
    s.questions::int as questions,
    s.price_inquiries::int as price_inquiries,
    s.urgency_signals::int as urgency_signals,
    s.budget_signals::int as budget_signals,
    a.overall_score::float8 as skin_score,
    sin(2 * pi() * extract(doy from aura_ops.bangkok_day(w.created_at)) / 365.25)::float8 as season_sin,
    cos(2 * pi() * extract(doy from aura_ops.bangkok_day(w.created_at)) / 365.25)::float8 as season_cos,
    w.metadata
from windows as w
left join said as s on w.lead_id = s.lead_id
left join analyses as a on w.lead_id = a.lead_id

-- Open leads of a clinic: how likely each is to be won, why, and what to do about it.
-- materialized: table
-- key: clinic_id, lead_id
-- owner: sales
-- index: clinic_id, score, lead_id
-- index: clinic_id, created_at, lead_id
-- test: win_probability between 0 and 1
-- test: (category = 'hot') = (score >= 75)
-- clinic_id: the tenant
-- lead_id: the lead
-- sales_user_id: who is in charge
-- name: name
-- source: where the lead came from
-- primary_concern: what the lead came for
-- stage: new, contacted, qualified, proposal_sent or negotiation
-- created_at: when the lead was entered
-- days_open: days since then
-- last_contacted_at: the last contact
-- win_probability: probability that the lead is won
-- win_low: lower end of its 80 % interval
-- win_high: upper end of its 80 % interval
-- score: the probability in percent, 0 to 100
-- category: hot from 75, warm from 50, else cold
-- confidence: 0 to 1, how much there is behind the probability: complete data and a narrow interval
-- reasons_en: why, in English
-- reasons_th: why, in Thai
-- estimated_value_thb: what the lead may be worth; null where nobody estimated it
-- expected_value_thb: win_probability times estimated_value_thb
-- priority: high, medium or low, for the order of the day
-- suggested_action_en: what to do next, in English
-- suggested_action_th: what to do next, in Thai
with leads as (
    select
        l.clinic_id,
        l.lead_id,
        l.sales_user_id,
        l.name,
        l.source,
        l.primary_concern,
        coalesce(h.stage, l.stage) as stage,
        l.created_at,
        l.last_contacted_at,
        l.estimated_value_thb,
        extract(epoch from aura_ops.as_of() - l.created_at)::float8 / 86400 as days_open,
        extract(epoch from aura_ops.as_of() - coalesce(l.last_contacted_at, l.created_at))::float8 / 86400
            as days_silent,
        s.win_probability,
        s.win_low,
        s.win_high,
        s.score,
        s.category,
        s.confidence,
        s.reasons_en,
        s.reasons_th
    from aura_staging.stg_leads as l
    inner join aura_models.lead_scores as s on l.lead_id = s.lead_id
    -- The application shows a temperature in the place of a stage; the history remembers the stage.
    left join aura_staging.stg_lead_stages as h
        on l.lead_id = h.lead_id and h.valid_to is null and h.stage not in ('won', 'lost')
    where l.clinic_id is not null and l.stage not in ('won', 'lost')
),

steps as (
    select
        *,
        case
            when last_contacted_at is null and stage = 'new' then 'call'
            when category = 'hot' then 'book'
            when days_silent > 14 then 'revive'
            when stage in ('proposal_sent', 'negotiation') then 'close'
            when category = 'warm' then 'propose'
            else 'inform'
        end as step
    from leads
)

select
    clinic_id,
    lead_id,
    sales_user_id,
    name,
    source,
    primary_concern,
    stage,
    created_at,
    days_open,
    last_contacted_at,
    win_probability,
    win_low,
    win_high,
    score,
    category,
    confidence,
    reasons_en,
    reasons_th,
    estimated_value_thb,
    round((win_probability * estimated_value_thb)::numeric, 2) as expected_value_thb,
    case
        when category = 'hot' or step in ('call', 'close') then 'high'
        when category = 'warm' then 'medium'
        else 'low'
    end as priority,
    case step
        when 'call' then 'Make first contact today'
        when 'book' then 'Offer an appointment now'
        when 'revive' then 'Nobody spoke for two weeks: ask once more, then let go'
        when 'close' then 'Ask for the decision, answer what holds it back'
        when 'propose' then 'Send a proposal with a price'
        else 'Keep informed, no effort by hand'
    end as suggested_action_en,
    case step
        when 'call' then 'ติดต่อครั้งแรกภายในวันนี้'
        when 'book' then 'เสนอนัดหมายทันที'
        when 'revive' then 'เงียบไปสองสัปดาห์ ลองถามอีกครั้งก่อนปิดลีด'
        when 'close' then 'ขอการตัดสินใจ และตอบข้อกังวลที่เหลือ'
        when 'propose' then 'ส่งข้อเสนอพร้อมราคา'
        else 'ส่งข้อมูลเป็นระยะ ไม่ต้องติดตามด้วยตนเอง'
    end as suggested_action_th
from steps

-- What happened between a customer and the clinic, in order: entered, conversations, appointments, purchases, changes
-- of a lead's stage, messages sent. Page by occurred_at and event_id.
-- materialized: table
-- key: customer_id, clinic_id, occurred_at, event_id
-- refresh: customer_id by aura_staging.stg_customer_versions
-- owner: analytics
-- test: (kind = 'purchase') = (amount_thb is not null)
-- clinic_id: the tenant
-- customer_id: the customer
-- occurred_at: when; of a booked appointment, when it will be
-- event_id: the event; the same in every run
-- kind: entered, conversation, appointment, purchase, stage_change or message
-- status: of an appointment completed, cancelled, no_show or scheduled; of a conversation active, completed or
--   abandoned; of a lead the stage it came to; else entered, paid or sent
-- title_en: in English
-- title_th: in Thai
-- amount_thb: what was paid; null where nothing was sold
-- user_id: who of the clinic took part, where it is known
-- source_id: the customer, conversation, appointment or lead of the application; of a message the decision that it came
--   from
with customers as (
    select
        customer_id,
        clinic_id,
        created_at
    from aura_staging.stg_customers
),

visits as not materialized (
    select
        c.clinic_id,
        a.customer_id,
        a.appointment_id,
        a.visit_at,
        a.status,
        a.appointment_type,
        a.staff_id,
        a.revenue_thb
    from aura_staging.stg_appointments as a
    inner join customers as c on a.customer_id = c.customer_id and a.clinic_id = c.clinic_id
),

events as (
    select
        clinic_id,
        customer_id,
        created_at as occurred_at,
        customer_id as event_id,
        'entered' as kind,
        'entered' as status,
        'entered' as word,
        null::numeric as amount_thb,
        null::uuid as user_id,
        customer_id as source_id
    from customers

    union all

    -- A conversation without a clinic is its customer's clinic's; one of another clinic than its customer is nobody's.
    select
        c.clinic_id,
        c.customer_id,
        t.created_at as occurred_at,
        t.conversation_id as event_id,
        'conversation' as kind,
        t.status,
        t.conversation_type as word,
        null as amount_thb,
        t.sales_staff_id as user_id,
        t.conversation_id as source_id
    from aura_staging.stg_conversations as t
    inner join customers as c
        on t.customer_id = c.customer_id and coalesce(t.clinic_id, c.clinic_id) = c.clinic_id

    union all

    select
        clinic_id,
        customer_id,
        visit_at as occurred_at,
        appointment_id as event_id,
        'appointment' as kind,
        status,
        appointment_type as word,
        null as amount_thb,
        staff_id as user_id,
        appointment_id as source_id
    from visits

    union all

    select
        clinic_id,
        customer_id,
        visit_at as occurred_at,
        md5('purchase ' || appointment_id)::uuid as event_id,
        'purchase' as kind,
        'paid' as status,
        'purchase' as word,
        revenue_thb as amount_thb,
        staff_id as user_id,
        appointment_id as source_id
    from visits
    where status = 'completed' and revenue_thb > 0

    union all

    select
        c.clinic_id,
        c.customer_id,
        s.valid_from as occurred_at,
        md5('stage ' || s.lead_id || ' ' || s.position)::uuid as event_id,
        'stage_change' as kind,
        s.stage as status,
        s.stage as word,
        null as amount_thb,
        l.sales_user_id as user_id,
        s.lead_id as source_id
    from aura_staging.stg_lead_stages as s
    inner join aura_staging.stg_leads as l on s.lead_id = l.lead_id
    inner join customers as c on l.customer_id = c.customer_id and coalesce(l.clinic_id, c.clinic_id) = c.clinic_id

    union all

    select
        c.clinic_id,
        c.customer_id,
        o.sent_at as occurred_at,
        o.message_id as event_id,
        'message' as kind,
        'sent' as status,
        o.rule as word,
        null as amount_thb,
        null as user_id,
        o.event_id as source_id
    from aura_ops.outbox as o
    inner join customers as c on o.recipient_id = c.customer_id and o.clinic_id = c.clinic_id
    where o.recipient_type = 'customer' and o.sent_at <= aura_ops.as_of()
),

words (kind, word, title_en, title_th) as (
    values
    ('entered', 'entered', 'Became a customer', 'เป็นลูกค้าใหม่'),
    ('conversation', 'chat', 'Chat', 'แชต'),
    ('conversation', 'ai_coach', 'Conversation with the AI coach', 'สนทนากับ AI โค้ช'),
    ('conversation', 'phone', 'Phone call', 'โทรศัพท์'),
    ('conversation', 'email', 'E-mail conversation', 'อีเมล'),
    ('conversation', 'line', 'LINE conversation', 'สนทนาทาง LINE'),
    ('conversation', 'sms', 'SMS conversation', 'ข้อความ SMS'),
    ('appointment', 'consultation', 'Consultation', 'ปรึกษา'),
    ('appointment', 'treatment', 'Treatment', 'ทำหัตถการ'),
    ('appointment', 'follow_up', 'Follow-up', 'ติดตามผล'),
    ('appointment', 'scan', 'Skin scan', 'สแกนผิว'),
    ('purchase', 'purchase', 'Paid', 'ชำระเงิน'),
    ('stage_change', 'new', 'Lead entered', 'ลีดใหม่'),
    ('stage_change', 'contacted', 'Lead contacted', 'ติดต่อลีดแล้ว'),
    ('stage_change', 'qualified', 'Lead qualified', 'ลีดผ่านการคัดกรอง'),
    ('stage_change', 'proposal_sent', 'Proposal sent', 'ส่งข้อเสนอแล้ว'),
    ('stage_change', 'negotiation', 'Negotiation', 'กำลังต่อรอง'),
    ('stage_change', 'won', 'Lead won', 'ปิดการขายสำเร็จ'),
    ('stage_change', 'lost', 'Lead lost', 'เสียลีด')
)

select
    e.clinic_id,
    e.customer_id,
    e.occurred_at,
    e.event_id,
    e.kind,
    e.status,
    coalesce(w.title_en, e.word) as title_en,
    coalesce(w.title_th, e.word) as title_th,
    e.amount_thb::numeric(12, 2) as amount_thb,
    e.user_id,
    e.source_id
from events as e
left join words as w on e.kind = w.kind and e.word = w.word

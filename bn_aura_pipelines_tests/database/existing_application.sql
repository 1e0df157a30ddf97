-- A database as the application's own migrations leave it on its platform: pgvector in schema `extensions`, row-level
-- security over auth.uid(), triggers, ivfflat indexes, functions. The older sort of installation: none of the columns
-- and few of the tables that only some carry. Run as the owner of the tables; `extensions` and `auth` stand already.
set search_path = public, extensions;

create type user_role as enum ('public', 'free_user', 'premium_customer', 'super_admin');
create type user_tier as enum ('free', 'premium', 'clinical');
create type clinic_staff_role as enum ('clinic_owner', 'clinic_admin', 'clinic_staff', 'sales_staff');
create type lead_status as enum (
    'new', 'contacted', 'qualified', 'proposal_sent', 'negotiation', 'won', 'lost', 'cold', 'warm', 'hot'
);

create table clinics (
    id uuid primary key default gen_random_uuid(),
    clinic_code varchar(20) unique not null,
    display_name jsonb not null,
    subscription_tier text,
    max_sales_staff int,
    is_active boolean default true,
    owner_user_id uuid,
    created_at timestamptz default now(),
    updated_at timestamptz default now()
);
create table users (
    id uuid primary key references auth.users (id) on delete cascade,
    email text unique not null,
    role user_role not null default 'free_user',
    tier user_tier not null default 'free',
    clinic_id uuid references clinics (id),
    full_name text,
    metadata jsonb default '{}',
    created_at timestamptz default now()
);
create table profiles (id uuid primary key references auth.users (id), display_name text);
create table clinic_staff (
    id uuid primary key default gen_random_uuid(),
    clinic_id uuid not null references clinics (id),
    user_id uuid not null references users (id),
    role clinic_staff_role not null,
    is_active boolean default true,
    created_at timestamptz default now(),
    unique (clinic_id, user_id)
);
create table customers (
    id uuid primary key default gen_random_uuid(),
    clinic_id uuid not null references clinics (id),
    user_id uuid references users (id),
    assigned_sales_id uuid references users (id),
    customer_code varchar(20) unique not null,
    full_name text not null,
    nickname text,
    email text,
    phone text,
    date_of_birth date,
    gender text check (gender in ('male', 'female', 'other')),
    address jsonb,
    district text,
    province text,
    postal_code text,
    status text default 'active' check (status in ('active', 'inactive', 'blacklisted')),
    customer_type text default 'regular' check (customer_type in ('regular', 'vip', 'member')),
    source text check (source in ('walk_in', 'referral', 'social_media', 'website', 'ads')),
    allergies text,
    medical_notes text,
    skin_concerns jsonb default '[]',
    notes text,
    tags jsonb default '[]',
    metadata jsonb default '{}',
    first_visit_date date,
    last_visit_date date,
    created_at timestamptz default now(),
    updated_at timestamptz default now(),
    preference_embedding vector(768)
);
create table customer_conversations (
    id uuid primary key default gen_random_uuid(),
    customer_id uuid references customers (id) on delete cascade,
    sales_staff_id uuid references users (id),
    clinic_id uuid references clinics (id),
    conversation_type text default 'ai_coach' check (
        conversation_type in ('chat', 'ai_coach', 'phone', 'email', 'line', 'sms')
    ),
    messages jsonb not null default '[]',
    summary text,
    deal_probability int check (deal_probability between 0 and 100),
    objections_handled text[],
    products_discussed text[],
    next_action text,
    next_action_date timestamptz,
    status text default 'active' check (status in ('active', 'completed', 'abandoned')),
    metadata jsonb default '{}',
    created_at timestamptz default now(),
    updated_at timestamptz default now(),
    message_embeddings vector(768)
);
create table sales_leads (
    id uuid primary key default gen_random_uuid(),
    clinic_id uuid references clinics (id),
    sales_user_id uuid references users (id),
    name text not null,
    email text not null,
    phone text,
    status lead_status default 'new',
    score int default 0,
    source text default 'website',
    primary_concern text,
    estimated_value numeric(10, 2),
    created_at timestamptz default now(),
    updated_at timestamptz default now(),
    profile_embedding vector(768)
);
create table treatments (
    id uuid primary key default gen_random_uuid(),
    names jsonb not null,
    category varchar(50),
    price_min numeric(10, 2),
    price_max numeric(10, 2),
    is_active boolean default true,
    created_at timestamptz default now()
);
create table appointments (
    id uuid primary key default gen_random_uuid(),
    clinic_id uuid not null references clinics (id),
    customer_id uuid not null references customers (id),
    staff_id uuid not null references users (id),
    appointment_code varchar(20) unique not null,
    appointment_type text not null check (appointment_type in ('consultation', 'treatment', 'follow_up', 'scan')),
    status text default 'scheduled' check (
        status in ('scheduled', 'confirmed', 'in_progress', 'completed', 'cancelled', 'no_show')
    ),
    appointment_date date not null,
    start_time time not null,
    end_time time not null,
    duration_minutes int generated always as (extract(epoch from (end_time - start_time)) / 60) stored,
    treatment_ids jsonb default '[]',
    services jsonb default '[]',
    total_price numeric(10, 2) default 0,
    notes text,
    customer_notes text,
    staff_notes text,
    reminder_sent boolean default false,
    branch_id uuid,
    metadata jsonb default '{}',
    created_at timestamptz default now(),
    updated_at timestamptz default now()
);
create table notifications (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null references profiles (id),
    clinic_id uuid,
    type varchar(50) not null,
    title varchar(200) not null,
    message text not null,
    link text,
    is_read boolean default false,
    metadata jsonb default '{}',
    priority text,
    created_at timestamptz default now()
);

create function update_updated_at_column() returns trigger language plpgsql as $$
begin
    new.updated_at = now();
    return new;
end
$$;
create trigger update_customers_updated_at before update on customers
for each row execute function update_updated_at_column();
create trigger update_customer_conversations_updated_at before update on customer_conversations
for each row execute function update_updated_at_column();
create trigger update_appointments_updated_at before update on appointments
for each row execute function update_updated_at_column();

create index customer_conversations_embedding_idx on customer_conversations
using ivfflat (message_embeddings vector_cosine_ops) with (lists = 100);
create index customers_embedding_idx on customers
using ivfflat (preference_embedding vector_cosine_ops) with (lists = 100);
create index appointments_clinic_date_idx on appointments (clinic_id, appointment_date);

create function match_conversations(
    query_embedding vector(768), match_threshold float, match_count int, clinic_filter uuid
) returns table (id uuid, customer_id uuid, summary text, similarity float)
language sql stable set search_path = public, extensions as $$
    select c.id, c.customer_id, c.summary, 1 - (c.message_embeddings <=> query_embedding)
    from customer_conversations c
    where c.message_embeddings is not null and (clinic_filter is null or c.clinic_id = clinic_filter)
        and 1 - (c.message_embeddings <=> query_embedding) > match_threshold
    order by c.message_embeddings <=> query_embedding
    limit match_count
$$;
create function match_customers(query_embedding vector(768), match_count int, exclude_customer uuid)
returns table (id uuid, full_name text, similarity float)
language sql stable set search_path = public, extensions as $$
    select c.id, c.full_name, 1 - (c.preference_embedding <=> query_embedding)
    from customers c
    where c.preference_embedding is not null and c.id is distinct from exclude_customer
    order by c.preference_embedding <=> query_embedding
    limit match_count
$$;

do $$
declare
    name text;
begin
    foreach name in array array['customers', 'customer_conversations', 'sales_leads', 'appointments'] loop
        execute format('alter table %I enable row level security', name);
        execute format(
            'create policy %I on %I for all to authenticated using (clinic_id in '
            '(select s.clinic_id from clinic_staff s where s.user_id = auth.uid() and s.is_active))',
            'Staff see their clinic: ' || name, name
        );
    end loop;
end
$$;
alter table users enable row level security;
create policy "Users see themselves" on users for select to authenticated
using (id = auth.uid() or auth.jwt() ->> 'role' = 'super_admin');
grant usage on schema public to authenticated;
grant select, insert, update, delete on all tables in schema public to authenticated;
alter default privileges in schema public grant select on tables to authenticated;

insert into auth.users (id) values ('00000000-0000-0000-0000-0000000000a1');
insert into clinics (id, clinic_code, display_name)
values ('00000000-0000-0000-0000-0000000000c1', 'BKK01', '{"th": "คลินิก", "en": "Clinic"}');
insert into users (id, email, clinic_id)
values ('00000000-0000-0000-0000-0000000000a1', 'staff@example.com', '00000000-0000-0000-0000-0000000000c1');
insert into clinic_staff (clinic_id, user_id, role)
values ('00000000-0000-0000-0000-0000000000c1', '00000000-0000-0000-0000-0000000000a1', 'sales_staff');
insert into customers (clinic_id, customer_code, full_name)
select '00000000-0000-0000-0000-0000000000c1', 'C' || n, 'Customer ' || n from generate_series(1, 20) as n;
insert into customer_conversations (clinic_id, customer_id, summary, messages)
select clinic_id, id, 'About ' || customer_code, '[{"role": "customer", "content": "สวัสดี"}]' from customers;
insert into sales_leads (clinic_id, name, email) values ('00000000-0000-0000-0000-0000000000c1', 'Lead', 'l@example.com');
insert into appointments (
    clinic_id, customer_id, staff_id, appointment_code, appointment_type, status, appointment_date, start_time, end_time
)
select
    clinic_id, id, '00000000-0000-0000-0000-0000000000a1', 'A' || customer_code, 'treatment', 'completed',
    date '2026-01-05', '10:00', '11:00'
from customers;

-- only: a database without the application's tables
-- The application's tables as its contract describes them, for the embedded database and for tests.
create type public.user_role as enum ('public', 'free_user', 'premium_customer', 'super_admin');
create type public.user_tier as enum ('free', 'premium', 'clinical');
create type public.staff_role as enum ('clinic_owner', 'clinic_admin', 'clinic_staff', 'sales_staff');
create type public.lead_status as enum (
    'new', 'contacted', 'qualified', 'proposal_sent', 'negotiation', 'won', 'lost', 'cold', 'warm', 'hot'
);

create table public.clinics (
    id uuid primary key default gen_random_uuid(),
    clinic_code varchar(20) not null unique,
    display_name jsonb not null default '{}',
    subscription_tier text,
    max_sales_staff int,
    is_active boolean not null default true,
    owner_user_id uuid,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

create table public.users (
    id uuid primary key default gen_random_uuid(),
    email text not null unique,
    role public.user_role not null default 'public',
    tier public.user_tier not null default 'free',
    clinic_id uuid references public.clinics (id),
    full_name text,
    metadata jsonb not null default '{}',
    created_at timestamptz not null default now()
);

create table public.clinic_staff (
    id uuid primary key default gen_random_uuid(),
    clinic_id uuid not null references public.clinics (id),
    user_id uuid not null references public.users (id),
    role public.staff_role not null,
    is_active boolean not null default true,
    created_at timestamptz not null default now(),
    unique (clinic_id, user_id)
);

create table public.customers (
    id uuid primary key default gen_random_uuid(),
    clinic_id uuid not null references public.clinics (id),
    user_id uuid references public.users (id),
    assigned_sales_id uuid references public.users (id),
    customer_code varchar(20) unique,
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
    status text not null default 'active' check (status in ('active', 'inactive', 'blacklisted')),
    customer_type text default 'regular' check (customer_type in ('regular', 'vip', 'member')),
    source text default 'walk_in' check (source in ('walk_in', 'referral', 'social_media', 'website', 'ads')),
    allergies text,
    medical_notes text,
    skin_concerns jsonb not null default '[]',
    notes text,
    tags jsonb not null default '[]',
    metadata jsonb not null default '{}',
    first_visit_date date,
    last_visit_date date,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
create index customers_clinic_id_idx on public.customers (clinic_id);

create table public.customer_conversations (
    id uuid primary key default gen_random_uuid(),
    customer_id uuid references public.customers (id) on delete cascade,
    sales_staff_id uuid references public.users (id),
    clinic_id uuid references public.clinics (id),
    conversation_type text not null default 'ai_coach' check (
        conversation_type in ('chat', 'ai_coach', 'phone', 'email', 'line', 'sms')
    ),
    messages jsonb not null default '[]',
    summary text,
    deal_probability int check (deal_probability between 0 and 100),
    objections_handled text[],
    products_discussed text[],
    next_action text,
    next_action_date timestamptz,
    status text not null default 'active' check (status in ('active', 'completed', 'abandoned')),
    metadata jsonb not null default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
create index customer_conversations_customer_id_idx on public.customer_conversations (customer_id);
create index customer_conversations_clinic_id_idx on public.customer_conversations (clinic_id);

create table public.sales_leads (
    id uuid primary key default gen_random_uuid(),
    clinic_id uuid references public.clinics (id),
    sales_user_id uuid references public.users (id),
    customer_id uuid references public.customers (id),
    name text not null,
    email text,
    phone text,
    status public.lead_status not null default 'new',
    score int not null default 0,
    category text check (category in ('hot', 'warm', 'cold')),
    confidence numeric,
    source text not null default 'website',
    primary_concern text,
    estimated_value numeric(10, 2),
    priority text,
    notes text,
    metadata jsonb not null default '{}',
    last_contacted_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
create index sales_leads_clinic_id_idx on public.sales_leads (clinic_id);

create table public.treatments (
    id uuid primary key default gen_random_uuid(),
    clinic_id uuid references public.clinics (id),
    names jsonb not null default '{}',
    category varchar(50),
    price_min numeric(10, 2),
    price_max numeric(10, 2),
    is_active boolean not null default true,
    created_at timestamptz not null default now()
);

create table public.appointments (
    id uuid primary key default gen_random_uuid(),
    clinic_id uuid not null references public.clinics (id),
    customer_id uuid not null references public.customers (id) on delete cascade,
    staff_id uuid references public.users (id),
    appointment_code varchar(20) unique,
    appointment_type text not null default 'treatment' check (
        appointment_type in ('consultation', 'treatment', 'follow_up', 'scan')
    ),
    status text not null default 'scheduled' check (
        status in ('scheduled', 'confirmed', 'in_progress', 'completed', 'cancelled', 'no_show')
    ),
    appointment_date date not null,
    start_time time not null,
    end_time time not null,
    duration_minutes int generated always as (extract(epoch from (end_time - start_time))::int / 60) stored,
    treatment_ids jsonb not null default '[]',
    services jsonb not null default '[]',
    total_price numeric(10, 2) not null default 0,
    notes text,
    customer_notes text,
    staff_notes text,
    reminder_sent boolean not null default false,
    branch_id uuid,
    metadata jsonb not null default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
create index appointments_customer_id_idx on public.appointments (customer_id);

create table public.referrals (
    id uuid primary key default gen_random_uuid(),
    clinic_id uuid not null references public.clinics (id),
    referrer_customer_id uuid not null references public.customers (id) on delete cascade,
    referred_customer_id uuid references public.customers (id) on delete cascade,
    referral_code text,
    status text not null default 'pending' check (status in ('pending', 'completed', 'rewarded')),
    created_at timestamptz not null default now()
);

create table public.customer_preferences (
    customer_id uuid primary key references public.customers (id) on delete cascade,
    clinic_id uuid not null references public.clinics (id),
    preferred_channels text[] not null default '{}',
    do_not_contact boolean not null default false,
    marketing_opt_in boolean not null default false,
    best_contact_time text,
    timezone text not null default 'Asia/Bangkok',
    language text not null default 'th',
    max_weekly_contacts int,
    max_monthly_contacts int,
    created_at timestamptz not null default now()
);

create table public.email_unsubscribes (
    id uuid primary key default gen_random_uuid(),
    clinic_id uuid not null references public.clinics (id),
    email text not null,
    reason text,
    unsubscribed_at timestamptz not null default now(),
    unique (clinic_id, email)
);

create function public.set_updated_at() returns trigger language plpgsql as $$
begin
    new.updated_at = now();
    return new;
end
$$;
create trigger customers_updated_at before update on public.customers
for each row execute function public.set_updated_at();
create trigger customer_conversations_updated_at before update on public.customer_conversations
for each row execute function public.set_updated_at();
create trigger appointments_updated_at before update on public.appointments
for each row execute function public.set_updated_at();

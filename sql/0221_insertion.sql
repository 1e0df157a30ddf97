-- What a run of the rules inserts a million times is held by as few indexes as its readers need.
drop index aura_ops.trigger_events_clinic_id_idx;  -- nobody looks decisions up by clinic: the mart has its own

drop index aura_ops.outbox_fence_idx;
create index outbox_fence_idx on aura_ops.outbox (clinic_id, fence) where fence is not null;

-- For the caps: what was sent to a recipient, or is under way.
drop index aura_ops.outbox_recipient_idx;
create index outbox_recipient_idx on aura_ops.outbox (recipient_id, sent_at)
where action = 'send_email' and status in ('sending', 'sent', 'delivered', 'bounced', 'complained', 'unknown');

"""Point-in-time snapshots: what was known of a customer at a moment, and nothing later. The SQL is in dbt_like_views."""

"""Point-in-time snapshots: what was known of a customer at a moment, no more. The SQL is in dbt_like_views."""

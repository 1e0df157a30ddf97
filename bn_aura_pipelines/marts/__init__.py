"""What people look at above the models: the marts' plots. The tables themselves are in `dbt_like_views/marts`."""

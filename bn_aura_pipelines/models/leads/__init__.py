"""Lead scoring: from an application's fields to a calibrated win probability, with reasons.

Everything about open leads' chances belongs here; the funnel and the board are views of `dbt_like_views/marts`.
"""

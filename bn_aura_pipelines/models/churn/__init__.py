"""Churn: the probability that a customer has no completed visit in the next 90 days.

Features and labels come from `aura_features.customer_snapshots`; figures and promotion from `models.judging`.
"""

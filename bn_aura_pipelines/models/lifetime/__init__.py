"""Lifetime value: how often a customer will come and what will be spent, with an interval; judged on held-out months.

Visits follow BG/NBD (`models.bgnbd`), amounts Gamma-Gamma. Nothing here says why somebody is worth what they are.
"""

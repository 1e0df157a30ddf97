"""Models that are trained here: judged, promoted, kept in a registry, and used to score.

Features are made in `features`; tables for people in `marts`.
"""

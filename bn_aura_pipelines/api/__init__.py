"""The read API: materialized results for the application, each clinic its own. It computes nothing and writes nothing
but its keys."""

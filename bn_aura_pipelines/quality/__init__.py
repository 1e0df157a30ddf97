"""Data quality: suites of Great Expectations, run inside PostgreSQL, as Dagster's asset checks and as pages for people.

What a view file tests of itself (`-- test:`) is not repeated here: such a table is never written.
"""

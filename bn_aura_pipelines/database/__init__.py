"""The floor everything stands on: connections, the embedded server, migrations, bulk copy, the view loader.

Nothing here knows what a customer is.
"""

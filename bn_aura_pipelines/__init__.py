"""The intelligence of the BN-Aura clinic CRM as a Dagster project."""

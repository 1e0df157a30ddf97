"""Rules that decide when somebody should be told something. Scores come from `models`."""

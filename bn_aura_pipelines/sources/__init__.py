"""The application's tables: what they hold, whether a database holds them so, and how an export gets into them."""

"""What a clinic looks at: pages over the read API, drawn on the server. Nothing here is computed that a mart could say;
nothing is asked but through the API's own access, queries and row-level security."""

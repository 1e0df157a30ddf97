"""What measures speed: run through `bn-aura bench`, never by the test suite."""

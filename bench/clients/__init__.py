"""Programs that measure themselves and print one line of JSON, each run in its own process."""

"""Programs that are found, downloaded or built, once, into a cache."""

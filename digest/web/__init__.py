"""The small server: feeds, archive pages, health."""

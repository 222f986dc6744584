"""The operations on tables, their settings and tags; and the jobs that fill new indexes and remove what was deleted."""

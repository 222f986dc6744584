"""Capacity: what requests consume, what tables provision, and the metrics in which both are counted."""

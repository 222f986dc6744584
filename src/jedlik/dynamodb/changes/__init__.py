"""The change log: its entries by position, its readers, and what trims it."""

"""Background work: jobs, which end, and duties, which recur. The framework; knows no feature.

A service declares its work (`work`) and submits jobs (`job_records`). `runner` does it, under `leases`, so that of the
workers that share a store mostly one is at it.
"""

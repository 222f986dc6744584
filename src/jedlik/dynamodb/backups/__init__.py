"""Whole tables, out of a store and into one: backups, recovery to a point in time, exports, imports, bulk puts.

Each has its operations, its records (what Describe and List show) and its job:

                    operations             records             job
    backups         backup_operations      backup_records      table_copies, backup_removal, last_backups
    recovery        recovery_operations    recovery_records    archiving (with suspensions)
    restores        restore_operations                         restores; to a time, recovery_plans before it
    exports         export_operations      export_records      exporting
    imports         import_operations      import_records      importing
    bulk puts       bulk_operations        bulk_records        bulk_puts

Backups and archives consist of `pieces`, which a manifest lists (`manifests`) and keys seal (`piece_keys`). Exports,
imports and bulk puts have their list, tokens and ARNs in common (`transfers`); imports and bulk puts also their way of
reading objects (`import_sources`, `open_sources`).
"""

"""AWS Security Token Service: who a caller is, and temporary keys, which the service that has roles issues."""

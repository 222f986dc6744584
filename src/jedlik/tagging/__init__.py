"""The Resource Groups Tagging API: the tags of all services' resources. It keeps nothing: each service has its own."""

"""Nothing but its place: pytest puts this folder on the path, so the folders below can import `schemas`."""

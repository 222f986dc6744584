"""Processes: puts services, stores and listeners together, and keeps them running.

`workers` starts a server: it takes the folder and the ports, and calls the `parent`, which forks workers (`worker`) and
nodes of DAX (`dax_node`), and replaces those that die. `services` lists the services.
"""

"""Stores as earlier versions left them, kept as fixtures: `python -m testing.former_stores FOLDER` makes them.

Before a format changes, run this with the version that still writes the old one and commit the files under
`tests/upkeep/former_stores/`. Each scenario becomes `NAME.tar.xz`, a data folder whose server is gone, and `NAME.json`,
the answers that an upgraded server must give.
"""

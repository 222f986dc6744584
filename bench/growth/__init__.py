"""How Jedlik's speed changes as its stores grow: `make growth`.

`bench` compares servers; this compares Jedlik with itself: a small table with a large one, one item collection with
another, few tables with many, quiet times with the deletion of a big table. Each section (`SECTIONS` in `__main__`) is
a module that states what it compares and returns its part of the report in Markdown. As in `bench`, measurements take
turns, and only ratios within one report mean anything.
"""

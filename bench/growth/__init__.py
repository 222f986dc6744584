"""How Jedlik holds up as what it stores grows: `make growth`.

Beside `bench`, which compares servers, this compares Jedlik with itself: a small table with a large one, one item
collection with another, few tables with many, quiet times with the deletion of a big table. Each section (`SECTIONS` in
`__main__`) is a module that says what it compares, and returns its part of the report in Markdown. What is compared is
measured in turns, as in `bench`: only ratios within one report mean anything.
"""

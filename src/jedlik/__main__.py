"""`python -m jedlik` is `jedlik`."""

from jedlik.cli import main

main()

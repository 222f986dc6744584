"""How fast Jedlik is, beside other servers, in one run on one machine: `make bench`.

Two declarations, of servers (`peers`) and of what is asked of them (`rows`). Every server holds the same items and
gets the same requests, signed beforehand (`signing`) and sent by wrk (`load`), in turns, so that what the machine
does meanwhile falls on all of them. Only ratios within one report mean anything.
"""

"""How fast Jedlik is, beside other servers, in one run on one machine: `make bench`.

Three declarations, of servers (`peers`), of what they hold (`tables`) and of what is asked of them (`rows`). Every
server holds the same items and gets the same requests, signed beforehand (`signing`) and sent by wrk (`load`), in turns
(`measuring`), so that what the machine does meanwhile falls on all of them. What comes out (`results`) is held against
what is wanted (`goals`) and printed (`report`). Only ratios within one report mean anything.
"""

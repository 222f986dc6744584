"""How fast Jedlik is, beside other servers, in one run on one machine: `make bench`.

A benchmark is three declarations: of servers (`peers`), of what they hold (`tables`) and of what they are asked
(`rows`). Every server holds the same items and gets the same requests, signed beforehand (`signing`) and sent by wrk
(`load`). The servers take turns (`measuring`), so other activity of the machine affects all of them. The figures
(`results`) are compared with the goals (`goals`) and printed (`report`). Only ratios within one report mean anything.
"""

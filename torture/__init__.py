"""Torture: does to a real server, on purpose, everything that a store must survive, and checks what must be true
afterwards.

    make torture                                      # each kind for a minute or two
    make torture ARGS="kills --seconds 600"           # one, for longer
    make torture ARGS="cuts --cuts 2000 --seed 7"     # again, with the seed that a run has printed

`kills` kills workers and the whole server under load. `cuts` records what the server writes to its disk and makes of
the recording the files that a power cut may leave. `faults` has the disk be full, read-only or broken for a while;
`full` really fills a small file system, which takes root. After each of these: every acknowledged write is there, no
refused one is, all of a request or nothing, and `jedlik check` is clean.

`flips` damages the files of a store whose server was killed, or takes one from another time or store: whatever opens
has every acknowledged write, what does not is refused and left as it is, and opens when the right file is put back.

`clocks` has the wall clock jump under load, and kills the server while it is wrong: after that, too, nothing may have
been trimmed or expired before its time, and no transaction done twice.

`regions` runs the simulator of global tables, without a server, with schedules that are new each time.

A seed makes the writers' choices and the moments the same again, not the scheduling of processes. Short versions are
tests, in tests/crash, which share everything here.
"""

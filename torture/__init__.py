"""Torture: does to a real server, on purpose, everything that a store must survive, and checks what must be true
afterwards.

    make torture                                      # each kind for a minute or two
    make torture ARGS="kills --seconds 600"           # one, for longer
    make torture ARGS="cuts --cuts 2000 --seed 7"     # again, with the seed that a run has printed

`kills` kills workers and the whole server under load. `cuts` records what the server writes to its disk and makes from
the recording the files that a power cut may leave. `faults` makes the disk full, read-only or broken for a while;
`full` really fills a small file system, which takes root. After each of these, every acknowledged write is there, no
refused one is, requests have taken effect entirely or not at all, and `jedlik check` is clean.

`flips` damages the files of a store whose server was killed, or takes a file from another time or store. A store that
opens still has every write that was acknowledged. One that does not is refused and left unchanged, and it opens when
the right file is put back. `pages` flips bits in the pages of LMDB's file: every answer of a server is then right, or a
fault that its log explains, or the store is refused.

`clocks` makes the wall clock jump under load, and kills the server while the clock is wrong. Then, too, nothing may
have been trimmed or expired before its time, and no transaction may have taken effect twice.

`backups` kills processes while tables are backed up and restored, and compares each restored second with what writers
had been acknowledged until then; and does the same after power cuts.

`primaries` kills the primary of a cluster of DAX again and again, under writes through it, and measures how long it
takes until clients go on and until it is replaced.

`regions` runs the simulator of global tables, without a server, with new schedules each time.

A seed repeats the writers' choices and the moments, but not the scheduling of processes. Short versions are tests, in
tests/crash, which share everything here.
"""

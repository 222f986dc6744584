"""Fuzzing: atheris makes inputs as a client could send them, guided by coverage, and each harness checks what must hold
for every input.

    make fuzz                                        # every harness for a minute
    make fuzz ARGS="--seconds 600 partiql keys"      # some, for longer
    .venv/bin/python -m fuzz.harness keys crash-0123 # a finding again

Each harness is a module with SEEDS and a function `attempt`, which takes bytes and raises an exception that is a
finding. Findings, and inputs that have reached new code, are in .cache/fuzz. Each finding becomes a test beside the
tests of the faulty module.
"""

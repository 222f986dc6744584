"""Fuzzing: what a client can send, made up by atheris as coverage guides it, and what must hold whatever it is.

    make fuzz                                        # every harness for a minute
    make fuzz ARGS="--seconds 600 partiql keys"      # some, for longer
    .venv/bin/python -m fuzz.harness keys crash-0123 # a finding again

Each harness is a module with SEEDS and a function `attempt` from bytes to nothing, which raises what is a finding. What
has been found, and the inputs that have reached new code, are in .cache/fuzz. What a finding teaches becomes a test
beside the tests of the module that was wrong.
"""

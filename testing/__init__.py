"""What tests, torture and benchmarks share: server processes, clients, relays, simulators, and the golden corpus."""

"""What tests of global tables share: regions in one process, a simulator of them, and three real servers."""

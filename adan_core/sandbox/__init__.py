"""The loopback exchange: market data over real protocols, with scripted faults; SIMULATED."""

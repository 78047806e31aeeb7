"""From a decision to the ledger: risk limits, orders, journal, exchanges, portfolio and the kill switch."""

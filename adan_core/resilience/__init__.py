"""What survives faults: atomic files, locks."""
